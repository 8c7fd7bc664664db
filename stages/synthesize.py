"""Write the embedded dataset in one of the official layouts."""

from dataclasses import asdict

from pipeline import paths
from pipeline.errors import InputError
from pipeline.params import load
from pipeline.storage.outputs import staged
from pipeline.synthetic import generator
from stages.command import progress, stage


@stage
def main() -> None:
    """Procedural faces with known motion, so that the whole pipeline runs without any licensed data."""
    params = load(paths.PARAMS)
    settings = params.synthesize
    bar = progress(params, "synthesize", "clip", settings.clips)
    with staged(paths.partial("synthesize"), paths.SYNTHETIC) as [folder]:
        try:
            for _ in bar(generator.write_tree(folder, **asdict(settings))):
                pass
        except ValueError as error:
            raise InputError(f"{paths.PARAMS}: synthesize: {error}") from error


if __name__ == "__main__":
    main()
