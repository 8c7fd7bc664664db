"""DVC's memory of what stages gave: is a result in it, and adding one that was computed elsewhere.

`dvc repro` restores a stage from its run cache when command, dependencies and parameters are those of an entry. So a
fold that was trained far from DVC is not committed into the workspace, but remembered under the hashes that were taken
*before* it was trained: whatever is edited in the meantime, no result is ever taken for that of other code, data or
parameters, and dvc.lock is written by `dvc repro` alone.

The one place that reaches into DVC's own classes, whose version is pinned in requirements.txt.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dvc.dependency import ParamsDependency
from dvc.dependency.param import read_param_file
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_objects.fs.local import LocalFileSystem

from pipeline import paths


class Recipe(NamedTuple):
    """A stage, and everything that its result depends on, as it was when this was made."""

    stage: PipelineStage
    known: bool
    """`dvc repro` would restore the result, or finds it in place."""

    @property
    def hashes(self) -> dict[str, str]:
        """MD5 of every dependency that is a file or a folder, by its path."""
        files = (dep for dep in self.stage.deps if not isinstance(dep, ParamsDependency))
        return {dep.def_path: dep.hash_info.value for dep in files}


def recipes(stages: Sequence[str], params: Path = paths.PARAMS) -> list[Recipe]:
    """Recipes of stages by their names, with the workspace's files as they are now.

    `params` may be another file than the workspace's: then the recipes are those of an experiment with its values.
    """
    with Repo() as repo:
        return [_recipe(repo, name, params) for name in stages]


def keep(recipe: Recipe, contents: Mapping[Path, bytes]) -> None:
    """Remember what a recipe gave: the content of all its outputs, by path.

    Nothing in the workspace changes. A process that is killed in the middle leaves objects in DVC's cache that no entry
    names, never an entry without its objects.
    """
    stage = recipe.stage
    if {out.def_path for out in stage.outs} != {path.as_posix() for path in contents}:
        raise ValueError(f"{stage.addressing} has other outputs than {', '.join(map(str, contents))}")
    with Repo() as repo:
        for out in stage.outs:
            content = contents[Path(out.def_path)]
            digest = hashlib.md5(content).hexdigest()
            cache = repo.cache.local
            if not cache.exists(digest):
                cache.add_bytes(digest, content)
                cache.protect(cache.oid_to_path(digest))
            out.hash_info, out.meta = HashInfo("md5", digest), Meta(size=len(content))
        repo.stage_cache.save(stage)


def _recipe(repo: Repo, name: str, params: Path) -> Recipe:
    stage = repo.stage.load_one(name=name)
    experiment = params != paths.PARAMS
    if experiment or stage.changed_stage() or not stage.deps_cached():  # its entry in dvc.lock belongs to other hashes
        stage.save_deps()
        for out in stage.outs:
            out.hash_info = HashInfo()
    if experiment:
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                values = read_param_file(LocalFileSystem(), str(params), dep.params, flatten=True)
                dep.hash_info = HashInfo(ParamsDependency.PARAM_PARAMS, values)
    return Recipe(stage, _known(repo, stage))


def _known(repo: Repo, stage: PipelineStage) -> bool:
    announcement = logging.getLogger("dvc.stage.cache")
    announcement.disabled = True  # of a restoration that does not take place
    try:
        repo.stage_cache.restore(stage, dry=True)
    except RunCacheNotFoundError:
        return False
    finally:
        announcement.disabled = False
    return True
