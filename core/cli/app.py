"""The verbs and their options. Each verb's work is in a module of its own, imported when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from .logs import start_logging
from .verbs import Verbs

app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Southbridge: PCs described in YAML, made of plugins.",
)

Machine = Annotated[str, typer.Argument(help="A description's path, or the name of one that comes with Southbridge.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Changes the description: devices.com1.irq=3. May be repeated."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Ends the machine when a device's code fails.")]
NoReboot = Annotated[bool, typer.Option("--no-reboot", help="Ends the machine when the guest resets it.")]
Logs = Annotated[str, typer.Option("--log", metavar="WHAT,...", help="What to log: guest_errors, info, debug.")]
MachineId = Annotated[str, typer.Argument(help="A running machine, as `southbridge machines` lists it.")]
Snapshot = Annotated[str, typer.Argument(help="A file that `southbridge snapshot save` wrote.")]
Id = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="What other verbs call it; by default its name, perhaps numbered."),
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"southbridge {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def begin(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Says it.")] = False,
) -> None:
    """What comes before every verb."""
    start_logging()
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def run(
    machine: Machine = "pc",
    settings: Settings = None,
    strict: Strict = False,
    no_reboot: NoReboot = False,
    logs: Logs = "",
    id: Id = None,
) -> int:
    """Runs a machine. Its first serial port is the terminal; Ctrl-A X leaves."""
    from .run import run_machine

    start_logging(logs)
    return run_machine(machine, settings or [], strict=strict, reboot=not no_reboot, id=id)


@app.command()
def fuzz(
    device: Annotated[str | None, typer.Argument(help="An installed device's type; all of them by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="What the programs are made from; a new one by default.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long.")] = 60,
    replay: Annotated[Path | None, typer.Option(metavar="FILE", help="A test that this wrote: runs it again.")] = None,
) -> int:
    """Runs random programs on a device in a PC without a CPU; what does harm becomes a test in this folder."""
    from .fuzz import fuzz_device

    return fuzz_device(device, seed=seed, seconds=seconds, file=replay)


@app.command()
def machines(json: Json = False) -> None:
    """Lists the machines that run: the ids that other verbs take."""
    from .control import list_machines

    list_machines(json)


@app.command()
def swap(machine_id: MachineId, name: Annotated[str, typer.Argument(help="An accelerator, such as unicorn.")]) -> None:
    """Has a running machine go on with another accelerator; its guest doesn't notice."""
    from .control import swap_accelerator

    swap_accelerator(machine_id, name)


@app.command()
def powerdown(machine_id: MachineId) -> None:
    """Presses a running machine's power button: its guest is asked to shut down."""
    from .control import press_power_button

    press_power_button(machine_id)


@app.command()
def monitor(machine_id: MachineId) -> None:
    """Says QEMU's monitor words to a running machine: type them, or pipe them in."""
    from .monitor import attend

    attend(machine_id)


@app.command()
def wakeup(machine_id: MachineId) -> None:
    """Wakes a machine that is suspended."""
    from .control import wake_up

    wake_up(machine_id)


@app.command()
def plug(
    machine_id: MachineId,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="The device's type, as `southbridge devices` lists it.")],
    device: Annotated[str, typer.Argument(help="What it is called.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A property: addr=04.0. May be repeated."),
    ] = None,
) -> None:
    """Plugs a device into a running machine."""
    from .control import plug_in

    plug_in(machine_id, kind, device, settings or [])


@app.command()
def unplug(machine_id: MachineId, device: Annotated[str, typer.Argument(help="The device's id.")]) -> None:
    """Asks a running machine's guest to let go of a device, which is unplugged once it does."""
    from .control import unplug_device

    unplug_device(machine_id, device)


@app.command()
def displays(machine_id: MachineId, json: Json = False) -> None:
    """Lists where a running machine can be looked at: VNC servers, web pages."""
    from .control import list_displays

    list_displays(machine_id, json)


@app.command()
def screendump(
    machine_id: MachineId,
    file: Annotated[str, typer.Argument(help="Replaced, if it exists; a PNG, unless its name ends in .ppm.")],
    device: Annotated[str | None, typer.Option(help="The graphics device's id; the first one by default.")] = None,
) -> None:
    """Writes what a running machine's screen shows to a file."""
    from .control import dump_screen

    dump_screen(machine_id, file, device)


snapshots = typer.Typer(help="Saves machines to files, and restores them.", add_completion=False, rich_markup_mode=None)
app.add_typer(snapshots, name="snapshot")


@snapshots.command()
def save(machine_id: MachineId, file: Annotated[str, typer.Argument(help="Replaced, if it exists.")]) -> None:
    """Writes the state of a running or paused machine to a file; then it goes on as it did."""
    from .snapshot import save_snapshot

    save_snapshot(machine_id, file)


@snapshots.command()
def restore(
    file: Snapshot,
    accelerator: Annotated[
        str | None, typer.Option("--accelerator", metavar="NAME", help="What runs it; by default as described.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Changes a back end: blockdevs.disk0.path=copy.img. May be repeated."
        ),
    ] = None,
    strict: Strict = False,
    no_reboot: NoReboot = False,
    logs: Logs = "",
    id: Id = None,
) -> int:
    """Runs a saved machine from where it stood, once all of the file was verified."""
    from .snapshot import restore_snapshot

    start_logging(logs)
    return restore_snapshot(file, settings or [], accelerator=accelerator, strict=strict, reboot=not no_reboot, id=id)


@snapshots.command()
def info(file: Snapshot, json: Json = False) -> None:
    """Verifies a snapshot, and says what is in it."""
    from .snapshot import show_snapshot

    show_snapshot(file, json)


@app.command()
def validate(machine: Machine = "pc", settings: Settings = None) -> None:
    """Checks a description against the installed plugins; opens and starts nothing."""
    from ..description import load

    description = load(machine, settings or [])
    parts = sum(len(parts) for parts in description.sections.values())
    print(f"{description.file}: valid ({parts} devices and back ends)")


@app.command()
def schema() -> None:
    """Prints the JSON Schema of descriptions, for editors: whatever plugins are installed."""
    from .listing import print_schema

    print_schema()


@app.command()
def plugins(json: Json = False) -> None:
    """Lists what is installed, without importing any of it."""
    from .listing import list_plugins

    list_plugins(json)


@app.command()
def devices(name: Annotated[str | None, typer.Argument(help="A device's type.")] = None, json: Json = False) -> None:
    """Lists the devices; or one's properties, registers and interrupts."""
    from .listing import list_devices, show_device

    if name is None:
        list_devices(json)
    else:
        show_device(name, json)


@app.command()
def doctor(json: Json = False) -> None:
    """Says what can be used on this host, and how to get the rest."""
    from .doctor import report

    report(json)
