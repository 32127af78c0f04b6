"""S3 by fsspec: every operation is on whole objects, tried again with growing pauses, and fails as one line.

Credentials, region and endpoint are those of the AWS tools: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL ...
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from warehouse.errors import LakeError, MissingDependency

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # between tries: six of them, about eight seconds
HTTP_RETRIES = 6  # DuckDB's, from 0.1 s, each pause twice the one before
AT_ONCE = 64  # ranges asked for at a time
VERSIONS_AT_ONCE = 1000  # that S3 removes by one request

# By process. One that a process inherits by fork is kept but not used: to close it would be its parent's business.
_systems: dict[int, Any] = {}


class ObjectStore:
    """The object store that the environment's credentials lead to. Uris are `s3://bucket/key`."""

    def exists(self, uri: str) -> bool:
        return self._tried(f"looking for {uri}", lambda fs: bool(fs.exists(uri)))

    def size(self, uri: str) -> int:
        return self._tried(f"looking at {uri}", lambda fs: int(fs.info(uri)["size"]))

    def listing(self, uri: str) -> Iterator[tuple[str, int, float]]:
        """(uri, bytes, last written) of every object below `uri`, sorted."""
        found = self._tried(f"listing {uri}", lambda fs: fs.find(uri, detail=True))
        for key, info in sorted(found.items()):
            if info["type"] != "file":
                continue  # s3fs tells of the folder itself where nothing is in it but what was removed
            yield f"s3://{key}", int(info["size"]), info["LastModified"].timestamp()

    def read(self, uri: str) -> bytes:
        return self._tried(f"reading {uri}", lambda fs: cast(bytes, fs.cat_file(uri)))

    def read_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """The bytes of each (uri, start, length), AT_ONCE at a time."""
        found: list[bytes] = []
        for at in range(0, len(ranges), AT_ONCE):
            some = ranges[at : at + AT_ONCE]
            uris, starts = [uri for uri, _, _ in some], [start for _, start, _ in some]
            ends = [start + length for _, start, length in some]
            found += self._tried(
                f"reading {uris[0]}",
                lambda fs, u=uris, s=starts, e=ends: fs.cat_ranges(u, s, e, on_error="raise"),  # type: ignore[misc]
            )
        return found

    def using(self, uri: str, action: Callable[[BinaryIO], T]) -> T:
        """What `action` gives of the object, opened for reading and seeking."""

        def use(fs: Any) -> T:
            with fs.open(uri, "rb", block_size=1 << 20) as file:
                return action(file)

        return self._tried(f"reading {uri}", use)

    def put(self, file: Path, uri: str) -> None:
        """One PUT, or for large files one multipart upload: the object is there when all of it is."""

        def sent(fs: Any) -> None:
            try:
                fs.put_file(str(file), uri)
            except FileNotFoundError as error:
                if _code(error) != "NoSuchUpload":
                    raise
                # ended under our hands: by a sweep, or by a completion of which only the answer was lost
                raise ConnectionAbortedError(f"the upload of {uri} was ended elsewhere") from error

        self._tried(f"writing {uri}", sent)

    def get(self, uri: str, file: Path) -> None:
        self._tried(f"reading {uri}", lambda fs: fs.get_file(uri, str(file)))

    def write(self, uri: str, data: bytes) -> None:
        self._tried(f"writing {uri}", lambda fs: fs.pipe_file(uri, data))

    def copy(self, uri: str, to: str) -> None:
        self._tried(f"copying {uri}", lambda fs: fs.cp_file(uri, to))

    def delete(self, uri: str) -> None:
        def gone(fs: Any) -> None:
            try:
                fs.rm_file(uri)
            except FileNotFoundError:
                return  # removed already

        self._tried(f"removing {uri}", gone)

    def uploads(self, uri: str) -> Iterator[tuple[str, str, float]]:
        """(uri, id, when it began) of every multipart upload below `uri` that was not completed."""
        bucket, prefix = _below(uri)
        for page in self._pages("list_multipart_uploads", uri, ("KeyMarker", "UploadIdMarker")):
            for upload in page.get("Uploads", []):
                if upload["Key"].startswith(prefix):  # MinIO takes the prefix for a whole key
                    yield f"s3://{bucket}/{upload['Key']}", upload["UploadId"], upload["Initiated"].timestamp()

    def abort(self, uri: str, upload: str) -> None:
        """End a multipart upload; what was sent of it is gone."""
        bucket, key = _split(uri)

        def ended(fs: Any) -> None:
            try:
                fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)
            except FileNotFoundError:
                return  # completed or ended meanwhile

        self._tried(f"ending an upload of {uri}", ended)

    def drop_old_versions(self, uri: str) -> int:
        """Remove every version below `uri` that was overwritten or removed, where the bucket keeps such; how many."""
        bucket, _ = _below(uri)
        old: list[dict[str, str]] = []
        marks: list[dict[str, str]] = []
        for page in self._pages("list_object_versions", uri, ("KeyMarker", "VersionIdMarker")):
            old += [_version(v) for v in page.get("Versions", []) if not v["IsLatest"]]
            marks += [_version(m) for m in page.get("DeleteMarkers", [])]
        for listed in (old, marks):  # what hides an old version goes after it
            for at in range(0, len(listed), VERSIONS_AT_ONCE):
                wanted = {"Objects": listed[at : at + VERSIONS_AT_ONCE], "Quiet": True}
                answer = self._tried(
                    f"removing old versions below {uri}",
                    lambda fs, w=wanted: cast("dict[str, Any]", fs.call_s3("delete_objects", Bucket=bucket, Delete=w)),  # type: ignore[misc]
                )
                for refused in answer.get("Errors", []):
                    raise LakeError(
                        f"an old version of s3://{bucket}/{refused['Key']} stays ({refused['Code']}): check "
                        "s3:DeleteObjectVersion and the bucket's object lock, and run the same command again"
                    )
        return len(old)

    def _pages(self, call: str, uri: str, markers: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Every page of a listing below `uri`."""
        bucket, prefix = _below(uri)
        at: dict[str, str] = {}
        while True:
            page = self._tried(
                f"looking below {uri} ({call})",
                lambda fs, a=at: cast("dict[str, Any]", fs.call_s3(call, Bucket=bucket, Prefix=prefix, **a)),  # type: ignore[misc]
            )
            yield page
            if not page.get("IsTruncated"):
                return
            at = {name: page[f"Next{name}"] for name in markers if page.get(f"Next{name}")}

    def _tried(self, what: str, action: Callable[[Any], T]) -> T:
        """What `action` gives. FileNotFoundError passes; anything else, after all tries, is a LakeError of one line."""
        fs = filesystem()  # names what to install; these two come with it
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        for pause in (*PAUSES_S, None):
            try:
                return action(fs)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise LakeError(f"there is no such bucket while {what}: make it, or check --lake") from error
                raise
            except (PermissionError, NoCredentialsError) as error:
                raise LakeError(
                    f"not allowed while {what} ({_line(error)}): check AWS_ACCESS_KEY_ID or AWS_PROFILE, and the bucket"
                ) from error
            except (OSError, BotoCoreError, ClientError, HttpError) as error:
                if pause is None:
                    raise LakeError(
                        f"the object store failed while {what} ({_line(error)}): run the same command again, the lake "
                        "is unharmed"
                    ) from error
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")


def filesystem() -> Any:
    """fsspec's S3 file system, one a process. Raises MissingDependency."""
    import fsspec

    if os.getpid() not in _systems:
        try:
            # no listing is remembered: other machines write there too; it is for `_tried` to try again
            system = fsspec.filesystem(
                "s3",
                use_listings_cache=False,
                skip_instance_cache=True,
                config_kwargs={"retries": {"total_max_attempts": 2, "mode": "standard"}, "connect_timeout": 20},
            )
            system.retries = 1
            _systems[os.getpid()] = system
        except ImportError as error:
            raise MissingDependency('a lake on s3:// needs s3fs: pip install "glyphmill[s3]"') from error
    return _systems[os.getpid()]


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Let a DuckDB connection that has httpfs read and write there, and be patient."""
    con.execute(secret())
    con.execute(f"SET http_retries = {HTTP_RETRIES}")
    con.execute("SET http_retry_backoff = 2")


@cache
def secret() -> str:
    """SQL that tells a DuckDB connection the credentials, region and endpoint that the AWS tools would use."""
    filesystem()
    from botocore.session import Session

    session = Session()
    client = session.create_client("s3", region_name=session.get_config_variable("region") or "us-east-1")
    endpoint = str(client.meta.endpoint_url)
    fields = {"REGION": str(client.meta.region_name)}
    if ".amazonaws." not in endpoint:
        fields |= {
            "ENDPOINT": endpoint.partition("://")[2],
            "URL_STYLE": "path",
            "USE_SSL": str(endpoint.startswith("https:")).lower(),
        }
    keys = session.get_credentials()
    if keys is not None:
        frozen = keys.get_frozen_credentials()
        fields |= {"KEY_ID": frozen.access_key, "SECRET": frozen.secret_key}
        if frozen.token:
            fields["SESSION_TOKEN"] = frozen.token
    listed = ", ".join("{} '{}'".format(name, value.replace("'", "''")) for name, value in fields.items())
    return f"CREATE OR REPLACE SECRET lake_store (TYPE s3, {listed})"


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _below(uri: str) -> tuple[str, str]:
    """Bucket, and what the keys of all objects below `uri` begin with."""
    bucket, key = _split(uri)
    return bucket, f"{key}/" if key else ""


def _version(found: dict[str, Any]) -> dict[str, str]:
    return {"Key": found["Key"], "VersionId": found["VersionId"]}


def _code(error: BaseException) -> str:
    """What S3 called an error that was translated; empty where it did not come from there."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
