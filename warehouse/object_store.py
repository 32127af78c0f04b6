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
        self._tried(f"writing {uri}", lambda fs: fs.put_file(str(file), uri))

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

    def _tried(self, what: str, action: Callable[[Any], T]) -> T:
        """What `action` gives. FileNotFoundError passes; anything else, after all tries, is a LakeError of one line."""
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        fs = filesystem()
        for pause in (*PAUSES_S, None):
            try:
                return action(fs)
            except FileNotFoundError:
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


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
