"""homeport models"""

from __future__ import annotations

import click

from homeport.cli.context import CliContext, ensure_none_before_subcommand, json_option


@click.group("models", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, json_output: bool) -> None:
    """List what the catalog knows; `show NAME` tells all about one."""
    if ctx.invoked_subcommand is not None:
        ensure_none_before_subcommand(ctx)
        return
    from homeport import catalog
    from homeport.catalog.card import card

    app: CliContext = ctx.obj
    rows: list[tuple[str, ...]] = [
        (model.name, model.parameters, f"{model.context:,}", ", ".join(model.modalities), model.licence,
         ", ".join(sorted(model.weights)))
        for model in catalog.models()
    ]  # fmt: skip
    header = ("NAME", "PARAMETERS", "CONTEXT", "MODALITIES", "LICENCE", "WEIGHTS FOR")
    app.terminal(json_output=json_output).table(
        header, rows, data=[card(model).as_json() for model in catalog.models()]
    )


@command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(app: CliContext, name: str, json_output: bool) -> None:
    """Tell all that the catalog knows about one model."""
    from homeport import catalog
    from homeport.catalog.card import card
    from homeport.cli.show import model_text
    from homeport.errors import UnknownModel

    model = catalog.find(name)
    if model is None:
        close = " or ".join(catalog.suggest(name))
        raise UnknownModel(
            f"the catalog knows no model {name!r}",
            hint=f"did you mean {close}?" if close else "`homeport models` lists them",
        )
    app.terminal(json_output=json_output).result(model_text(model), card(model).as_json())
