"""The commands that a person types: python -m pipeline --help"""

from pathlib import Path

import click


@click.group()
def main() -> None:
    """Micro-expression recognition: what `dvc repro` does not do by itself."""


@main.command()
@click.argument("name")
@click.option("--from", "root", type=click.Path(path_type=Path), help="Folder of the dataset as its owners ship it.")
@click.option(
    "--annotation", "annotated", type=click.Path(path_type=Path), help="Its annotation, if several are there."
)
@click.option("--flow", "method", help="flow.method to use, instead of the one that the paper used.")
@click.option("--check", is_flag=True, help="Only look: nothing is written.")
def use(name: str, root: Path | None, annotated: Path | None, method: str | None, check: bool) -> None:
    """Check a copy of the dataset NAME and write its settings into params.yaml.

    NAME is casme, casme2, smic, table (any folder with a table in the columns of clips.csv) or synthetic.
    """
    from pipeline import study
    from pipeline.errors import InputError

    try:
        study.use(name, root, annotated, method, check)
    except InputError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m pipeline")
