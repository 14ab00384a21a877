"""The way back of an endpoint in several regions: every region serves what the first one served before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.errors import HomeportError, NoCredentials, NotFound, StateError
from homeport.google import Google
from homeport.progress import Progress
from homeport.resources.google.release import way_back
from homeport.resources.google.traffic import Body, newest_verified, receipts, shares, short
from homeport.results import Rollback
from homeport.targets.cloudrun.marks import ADAPTED, TEMPLATE, WEIGHTS
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from homeport.targets.cloudrun.released import no_proof, release
from homeport.targets.cloudrun.rollback_preview import RollbackPreview
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.verification.revision import live
from homeport.targets.cloudrun.way_back import WayBack

_SAME = (
    f"{ANNOTATION}model",
    f"{ANNOTATION}engine",
    f"{ANNOTATION}context",
    f"{ANNOTATION}weights-source",
    WEIGHTS,
    ADAPTED,
)
"""Annotations that two revisions have alike which serve the same. Each region builds its own image, so that is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionCriteria:
    """What a revision must be like that serves what the first region is to serve."""

    marks: Mapping[str, str]
    template: str
    """The sum of all that it was asked for; '' for one that an older version made."""
    marks_suffice: bool
    """Whether its marks differ from those of what serves now in the first region, so that they alone tell the two apart."""

    def among(self, revisions: Sequence[Body]) -> list[Body]:
        """Return those that are like it: with its sum where there are any, with its marks alone only where these tell enough."""
        alike = [revision for revision in revisions if _same(revision) == self.marks]
        same = [revision for revision in alike if self.template and _template(revision) == self.template]
        return same or (alike if self.marks_suffice else [])

    def differences(self, revision: Body) -> str:
        """Return in words what a revision has otherwise."""
        name, has = short(str(revision["name"])), _same(revision)
        marks = [
            f"{key.removeprefix(ANNOTATION)} {has.get(key, 'none')} instead of {self.marks.get(key, 'none')}"
            for key in _SAME
            if has.get(key) != self.marks.get(key)
        ]
        rest = f"what else was asked for: its sum is {_template(revision) or 'not there'} instead of {self.template or 'not there'}"
        return f"{name} differs in {', '.join(marks) or rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionStep:
    """What is done in one region."""

    place: CloudRunLifecycle
    revision: str
    serves_already: bool

    @property
    def id(self) -> str:
        """Return the id of the release there, as a plan of all regions has it."""
        release_id = f"release/{self.place.names.name}"
        return f"{release_id} in {self.place.names.region}" if self.place.first else release_id

    @property
    def text(self) -> str:
        """Return what serves then."""
        return f"{self.revision} in {self.place.names.region}"


async def roll_back(places: Sequence[CloudRunLifecycle], progress: Progress) -> Rollback:
    """
    Give all traffic of each region to what the first one served before. Returns the revisions that serve, with their regions.

    The first region goes last: what it serves says what is gone back from, so that whatever was broken off is finished by another run.
    Where a region has none that serves the same, or one that would not start any more, `NotFound` or `StateError` is raised before anything
    is changed. Where a change fails, those that come later stay as they are, and the error says what serves.
    """
    steps = await _steps(places)
    if not steps:
        raise NotFound(
            f"{places[0].name} has no other revision that was verified in {places[0].names.region}",
            hint="`homeport up --on cloudrun` makes one; `homeport status --on cloudrun` shows what serves",
        )
    done: list[str] = []
    in_turn = [*steps[1:], steps[0]]
    for number, step in enumerate(in_turn):
        names = step.place.names
        if not step.serves_already:
            progress.note(f"{names.region}: {step.revision} gets all of the traffic")
            try:
                await release(step.place.google, names, no_proof).serve(step.revision)
            except HomeportError as error:
                rest = [
                    f"{later.place.names.region} serves what it served" for later in in_turn[number + 1 :]
                ]
                said = "; ".join([*(f"{text} serves" for text in done), *rest])
                error.args = (f"{names.region}: {error}", *error.args[1:])
                error.hint = "; ".join(text for text in (said, error.hint) if text)
                raise
        done.append(step.text)
    changed = (step.id for step in in_turn if not step.serves_already)
    return Rollback(serving=", ".join(step.text for step in steps), changed=tuple(changed))


async def rollback_preview(places: Sequence[CloudRunLifecycle]) -> RollbackPreview:
    """Return what `roll_back` would do, in words, or why it would not: as a status tells it. Reads only."""
    try:
        steps = await _steps(places)
    except NoCredentials:
        raise
    except StateError as error:
        return RollbackPreview(refused=str(error))
    except HomeportError as error:
        return RollbackPreview(unknown=f"whether each region could go back could not be read: {error}")
    return RollbackPreview(to=", ".join(step.text for step in steps))


async def _steps(places: Sequence[CloudRunLifecycle]) -> list[RegionStep]:
    """Return what is done in each region; nothing where the first one has no other revision that was verified."""
    first, *further = places
    google = first.google
    service = await live(google, first.path)
    target = await way_back(google, service)
    if not target:
        return []
    revision = await _revision(google, first, target)
    await _ensure_fit(first, revision)
    wanted = RevisionCriteria(marks=_same(revision), template=_template(revision), marks_suffice=True)
    for name in shares(service):
        serving = await _revision(google, first, name)
        if name == target or _same(serving) != wanted.marks:
            continue
        wanted = replace(wanted, marks_suffice=False)
        same = wanted.template == _template(serving)
        # With one image and one sum they serve the same, such as with a startup cache and without.
        if not wanted.template or not _template(serving) or (same and _image(serving) != _image(revision)):
            raise StateError(
                f"{target} and {name}, which serves now, differ in none of what a revision tells (model, engine, context, weights, "
                f"adapters, and the sum of the rest, which this version of homeport adds), so it cannot be told which revision of {_regions(further)} is like {target}, and nothing was changed",
                hint="change the file back, and run `homeport up --on cloudrun`: it goes region by region",
            )
    return [
        RegionStep(place=first, revision=target, serves_already=False),
        *[await _step(place, wanted, first.names.region) for place in further],
    ]


async def _step(place: CloudRunLifecycle, wanted: RevisionCriteria, first: str) -> RegionStep:
    google, region = place.google, place.names.region
    try:
        service = await live(google, place.path)
    except NotFound as error:
        raise StateError(
            f"{region}: {error}, so nothing was changed in any region",
            hint="`homeport up --on cloudrun` makes what the file says in each region",
        ) from error
    there = [
        revision
        async for revision in google.pages("run", f"{place.path}/revisions", "revisions")
        if not revision.get("deleteTime")
    ]
    by_name = {short(str(revision["name"])): revision for revision in wanted.among(there)}
    serving = shares(service)
    if len(serving) == 1 and serving.keys() <= by_name.keys():
        return RegionStep(place=place, revision=next(iter(serving)), serves_already=True)
    target = newest_verified(service, by_name)
    if not target:
        verified = receipts(service)
        others = [revision for revision in there if short(str(revision["name"])) in verified]
        known = "; ".join(wanted.differences(revision) for revision in others) or "none"
        raise StateError(
            f"{region} has no verified revision that serves what {first} served before (verified there: {known}), so nothing was "
            "changed in any",
            hint=f"write into the file what {first} served before, and run `homeport up --on cloudrun`: it serves that in each "
            "region, without `rollback`",
        )
    await _ensure_fit(place, by_name[target])
    return RegionStep(place=place, revision=target, serves_already=False)


async def _revision(google: Google, place: CloudRunLifecycle, name: str) -> Body:
    revision: Body = await google.get("run", f"{place.path}/revisions/{name}")
    return revision


async def _ensure_fit(place: CloudRunLifecycle, revision: Body) -> None:
    fit = WayBack(google=place.google, names=place.names, guard=place.spec.gateway_guard)
    try:
        await fit.ensure_fit(revision)
    except StateError as error:
        error.args = (f"{place.names.region}: {error}", *error.args[1:])
        raise


def _regions(places: Sequence[CloudRunLifecycle]) -> str:
    return ", ".join(place.names.region for place in places)


def _same(revision: Body) -> dict[str, str]:
    marks = revision.get("annotations", {})
    return {key: str(marks[key]) for key in _SAME if marks.get(key)}


def _image(revision: Body) -> str:
    return str(revision.get("annotations", {}).get(f"{ANNOTATION}image", ""))


def _template(revision: Body) -> str:
    return str(revision.get("annotations", {}).get(TEMPLATE, ""))


__all__ = ["roll_back", "rollback_preview"]
