"""What `homeport fit` looks at: a model on every place that may run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from homeport.catalog import Model, cloudrun
from homeport.catalog.prices import Hourly, Prices, load
from homeport.catalog.served_for import served_for
from homeport.engines.names import NAMES
from homeport.engines.registry import delivery_of, ensure_honoured, module, on_cloud
from homeport.errors import HomeportError, SpecError
from homeport.fit import Fit, fit, ladder
from homeport.fit.cloud import Estimate, estimate
from homeport.fit.devices import this
from homeport.fit.subject import ModelSubject, subject
from homeport.hardware import this_machine
from homeport.home import find_home
from homeport.json_types import JsonObject
from homeport.spec import FILE_NAME, CloudRun, Edge, Engine, Guard, Scaling, Spec
from homeport.spec import load as load_spec

_Table = TypeVar("_Table", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRow:
    """One model on one place."""

    fit: Fit
    hourly: Hourly | None
    """None on this machine."""

    def as_json(self) -> JsonObject:
        """Return the row as `--json` prints it."""
        price = round(self.hourly.total, 4) if self.hourly else None
        unconfirmed = list(self.hourly.unconfirmed) if self.hourly else []
        return {**self.fit.as_json(), "usd_per_hour": price, "unconfirmed_prices": unconfirmed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found."""

    model: Model
    settings: Engine
    cloudrun: CloudRun
    prices: Prices
    rows: tuple[FitRow, ...]
    contexts: tuple[int, ...]
    estimates: tuple[Estimate, ...]
    """One for each engine that runs on Cloud Run."""
    notes: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Return what `--json` prints."""
        return {
            "model": self.model.name,
            "context": self.settings.context,
            "parallel": self.settings.parallel,
            "region": self.cloudrun.region,
            "prices_dated": str(self.prices.dated),
            "rows": [row.as_json() for row in self.rows],
            "cloudrun": {
                estimated.choice.tried[0].what.engine: estimated.as_json()
                for estimated in self.estimates
                if estimated.choice.tried
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """Which model is meant, and how it is wanted."""

    subject: ModelSubject
    settings: Engine
    cloudrun: CloudRun
    scaling: Scaling
    edge: Edge | None = None
    guard: Guard | None = None
    file: Path = Path(FILE_NAME)
    """Where the settings stand, or would: a relative chat template starts from its folder."""


def fit_request(
    name: str | None, file: Path, *, engine: str | None = None, **given: Any
) -> FitRequest:  # Any: fields of Engine and of CloudRun
    """
    Return the model called `name`, or the one of the spec in `file`, with `given` over what the spec says.

    Raises what `subject` raises, and `SpecError` for a file or for settings that cannot be.
    """
    spec = _spec(name, file)
    base = file.absolute().parent if name is None else Path.cwd()
    model_subject = subject(spec.model, base, weights=spec.weights, engine=engine or spec.engine.kind)
    if name is None:
        model_subject = replace(model_subject, model=served_for(model_subject.model, spec.task))
    settings = _checked(Engine, spec.engine, given)
    most = model_subject.model.context or settings.context
    if settings.context > most and ("context" in given or spec.engine.context != Engine().context):
        raise SpecError(
            f"{model_subject.model.name} was made for {most:,} tokens, not {settings.context:,}",
            hint=f"take a context of {most} at most",
        )
    # The default is shortened for a model that was made for less.
    settings = settings.model_copy(update={"context": min(settings.context, most)})
    return FitRequest(
        subject=model_subject,
        settings=settings,
        cloudrun=_checked(CloudRun, spec.cloudrun or CloudRun(), given),
        scaling=spec.scaling,
        edge=spec.edge,
        guard=spec.guard,
        file=file,
    )


def look(wanted: FitRequest, *, prices: Path | None = None, engine: str | None = None) -> Looked:
    """
    Return what is wanted, on every GPU of Cloud Run that it may have, and on this machine unless one was
    named.

    Raises `SpecError` where there is nothing to look at.
    """
    model_subject, settings = wanted.subject, wanted.settings
    price_list = load(prices)
    engines, notes = _cloud_engines(wanted, engine)
    estimates = tuple(
        estimate(model_subject.served(name, settings), wanted.cloudrun, price_list, wanted.scaling)
        for name in engines
    )
    rows = [row for estimated in estimates for row in _cloud_rows(estimated, price_list, wanted.cloudrun)]
    everywhere = wanted.cloudrun.gpu == "auto"
    here, more = _this_machine(model_subject, settings, engine) if everywhere else ([], [])
    if not rows and not here:
        raise SpecError(
            f"there is nothing to look at: {model_subject.model.name} has weights for {', '.join(model_subject.weights)}",
            hint="; ".join((*notes, *more)) or "name another engine",
        )
    told = (*model_subject.notes, *notes, *more, *_unknown(rows), *_of_gpus(rows))
    return Looked(
        model=model_subject.model,
        settings=settings,
        cloudrun=wanted.cloudrun,
        prices=price_list,
        rows=(*rows, *here),
        contexts=ladder(model_subject.model),
        estimates=estimates,
        notes=(*told, *_of_template(wanted, engine or settings.kind, (*rows, *here))),
    )


def _spec(name: str | None, file: Path) -> Spec:
    """Return the spec in `file` where it is about this model; else one of the model alone."""
    if name is None:
        return load_spec(file)
    if file.exists():
        spec = load_spec(file)
        if spec.model == name:
            return spec
    return Spec().model_copy(update={"model": name})


def _checked(kind: type[_Table], value: _Table, changes: Mapping[str, object]) -> _Table:
    """Return `value` with those of `changes` that are its keys, checked as the file is. Raises `SpecError`."""
    changed = {
        key: change for key, change in changes.items() if key in kind.model_fields and change is not None
    }
    try:
        return kind.model_validate({**value.model_dump(), **changed})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise SpecError(problem["msg"].removeprefix("Value error, ")) from error


def _cloud_engines(wished: FitRequest, engine: str | None) -> tuple[list[str], list[str]]:
    """Return those that have weights and can honour the settings; and why the others were left out."""
    engines, notes = [], []
    for name in on_cloud():
        if name not in wished.subject.weights or engine not in {None, name}:
            continue
        try:
            ensure_honoured(name, wished.settings)
            delivery_of(name, wished.cloudrun.delivery)
        except HomeportError as error:
            notes.append(f"{name} on Cloud Run is left out: {error}")
        else:
            engines.append(name)
    return engines, notes


def _cloud_rows(estimated: Estimate, prices: Prices, cloud_settings: CloudRun) -> list[FitRow]:
    """Return a row for each GPU: its cheapest shape that fits, else its cheapest."""
    by_gpu: dict[str, Fit] = {}
    for tried in estimated.choice.tried:
        assert tried.place.shape is not None
        earlier = by_gpu.get(tried.place.shape.gpu)
        if earlier is None or (tried.fits and not earlier.fits):
            by_gpu[tried.place.shape.gpu] = tried
    return [
        FitRow(
            fit=best,
            hourly=prices.hourly(
                best.place.shape, cloud_settings.region, zonal=cloud_settings.zonal_redundancy
            ),
        )
        for best in by_gpu.values()
        if best.place.shape is not None
    ]


def _unknown(rows: Iterable[FitRow]) -> list[str]:
    """Return what could not be counted, each thing once."""
    return list(
        dict.fromkeys(unknown for row in rows if row.fit.footprint for unknown in row.fit.footprint.unknown)
    )


def _of_gpus(rows: Iterable[FitRow]) -> list[str]:
    """Return what is not settled of the GPUs in the table."""
    named = {row.fit.place.shape.gpu for row in rows if row.fit.place.shape}
    return [
        f"{gpu.name} is in preview{', as far as is known' if 'status' in gpu.unconfirmed else ''}"
        for gpu in cloudrun.gpus()
        if gpu.name in named and gpu.status == "preview"
    ]


def _of_template(wanted: FitRequest, chosen: str, rows: Iterable[FitRow]) -> list[str]:
    """Return what a plan would say of the chat template for the chosen engine, or else for those of the rows, by name where they differ."""
    from homeport.targets.chat_template import told_of_template

    model = wanted.subject.model
    engines = dict.fromkeys([chosen] if chosen in NAMES else [row.fit.what.engine for row in rows])
    spec = Spec().model_copy(update={"engine": wanted.settings, "task": model.task})
    root = find_home().root
    said = {name: told_of_template(model, spec, wanted.file, module(name), root) for name in engines}
    if len({tuple(one) for one in said.values()}) == 1:
        return next(iter(said.values()))
    return [f"{name}: {one}" for name, notes in said.items() for one in notes]


def _this_machine(
    model_subject: ModelSubject, settings: Engine, engine: str | None
) -> tuple[list[FitRow], list[str]]:
    """Return the first engine that is here and has weights."""
    for name in NAMES:
        if name not in model_subject.weights or engine not in {None, name}:
            continue
        installation = module(name).find()
        if installation is None:
            continue
        try:
            ensure_honoured(name, settings)
        except HomeportError as error:
            return [], [f"this machine is left out: {error}"]
        place = this(this_machine(gpus=module(name).USES_GPU), name)
        return [FitRow(fit=fit(model_subject.served(name, settings), place), hourly=None)], []
    lacks = f"there is no {engine}" if engine else "there is no engine"
    return [], [f"this machine is left out: {lacks} here that has weights of this model"]


__all__ = ["FitRequest", "FitRow", "Looked", "fit_request", "look"]
