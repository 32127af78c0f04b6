"""The commands of the human audit."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.options import DECISIONS, LakeOption

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="Look at what a rule drops and record whether it was right.")
app.add_typer(audit, name="audit", rich_help_panel=DECISIONS)

RuleOption = Annotated[str, typer.Option("--rule", help="Name of a rule of the current recipe.", show_default=False)]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, help="Images in the sample.")]


@audit.command("sample")
def sample(lake: LakeOption, rule: RuleOption, count: CountOption = 50) -> None:
    """Print the rule's sample as CSV: image_id, verdict, note, uri. It is the same every time, and grows with --count.

    Example: [bold]glyphmill audit sample --rule clear --lake lake > verdicts.csv[/bold]
    """
    from pipelines import audit as job
    from warehouse.lake import Lake

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("image_id", "verdict", "note", "uri"))
    for one in job.sample(Lake.open(lake, read_only=True), rule, count):
        out.writerow((one.image_id, one.verdict or "", one.note or "", one.uri))


@audit.command("sheet")
def sheet(
    lake: LakeOption,
    rule: RuleOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG or JPEG file to write.", show_default=False)],
    count: CountOption = 50,
) -> None:
    """Draw the rule's sample as one picture to look at.

    Example: [bold]glyphmill audit sheet --rule clear --out clear.png --lake lake[/bold]
    """
    from pipelines import audit as job
    from pipelines.looking.audit_sheet import audit_sheet
    from warehouse.errors import UsageError
    from warehouse.files import replacing
    from warehouse.lake import Lake

    form = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(out.suffix.lower())
    if form is None:
        raise UsageError(f"{out} must end in .png or .jpg")
    sampled = job.sample(Lake.open(lake, read_only=True), rule, count)
    if not sampled:
        typer.echo(f"'{rule}' drops nothing: no sheet written")
        return
    drawn = audit_sheet(sampled)
    with replacing(out) as temporary:
        drawn.save(temporary, form)
    typer.echo(f"{len(sampled)} images that '{rule}' drops at {out}")


@audit.command("record")
def record(
    lake: LakeOption,
    rule: RuleOption,
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE_ID]", help="Image id, or the start of one.", show_default=False)
    ] = None,
    verdict: Annotated[
        str | None, typer.Argument(metavar="[right|wrong]", help="Was it right to drop it?", show_default=False)
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="A word on why.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A sample's CSV with verdicts filled in.")] = None,
) -> None:
    """Record a verdict, or a file of them; prints the rule's precision.

    Example: [bold]glyphmill audit record --rule clear 3f2a right --lake lake[/bold]
    """
    from pipelines import audit as job
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if (file is None) == (image is None or verdict is None):
        raise UsageError("give an image id and right or wrong, or --file with verdicts")
    if file is not None:
        verdicts = job.read_verdicts(file)
    else:
        verdicts = [job.Verdict(str(image), str(verdict).lower(), note)]
    found = job.record(Lake.open(lake), rule, verdicts)
    typer.echo(f"{len(verdicts)} verdicts recorded; " + (str(found) if found else f"{rule}: nothing judged"))
