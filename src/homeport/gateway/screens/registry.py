"""The screens that there are, by name: `[guard] screen`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from homeport.errors import SpecError
from homeport.gateway.screens.base import Screen
from homeport.gateway.screens.local import LocalScreen
from homeport.gateway.settings import GatewaySettings


async def _local(settings: GatewaySettings, env: Mapping[str, str]) -> Screen:
    del env
    return LocalScreen(settings.filters)


async def _model_armor(settings: GatewaySettings, env: Mapping[str, str]) -> Screen:
    from homeport import google
    from homeport.gateway.screens.model_armor import ONE_TRY, ModelArmorScreen

    if not settings.template:
        raise SpecError(
            "Model Armor screens by a template, and none is named",
            hint='set guard.template = "projects/PROJECT/locations/REGION/templates/NAME", or guard.screen = "local"',
        )
    patience = replace(ONE_TRY, deadline=settings.deadline_s, attempt=settings.deadline_s)
    door = await google.from_env(env, project=settings.template.split("/")[1], settings=patience)
    return ModelArmorScreen(
        door, template=settings.template, filters=settings.filters, deadline_s=settings.deadline_s
    )


_SCREENS: Mapping[str, Callable[[GatewaySettings, Mapping[str, str]], Awaitable[Screen]]] = {
    "local": _local,
    "model-armor": _model_armor,
}
NAMES = tuple(_SCREENS)
"""What a screen may be called."""


async def make(settings: GatewaySettings, env: Mapping[str, str]) -> Screen:
    """Return the screen that the settings name. Raises `SpecError` where it lacks something."""
    try:
        maker = _SCREENS[settings.screen]
    except KeyError:
        raise SpecError(
            f"there is no screen {settings.screen!r}", hint=f"there are {', '.join(NAMES)}"
        ) from None
    return await maker(settings, env)
