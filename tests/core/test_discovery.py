"""Finding plugins: those that are broken, there twice, or switched off are reported by name; the others work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from southbridge import discovery
from southbridge.device import Device
from southbridge.errors import PluginError

MakeDistribution = Callable[..., Path]

WIDGET = "from southbridge import Device\n\nclass Widget(Device):\n    pass\n"


def refusal(kind: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        discovery.load(kind, name)
    return str(caught.value)


def devices_of(distribution: str) -> dict[str, str | None]:
    found = [plugin for plugin in discovery.plugins("devices") if plugin.distribution == distribution]
    return {plugin.name: plugin.switched_off_by for plugin in found}


def test_listing_reads_metadata_and_imports_nothing(distribution: MakeDistribution) -> None:
    distribution("acme", "2.1", "[southbridge.devices]\nwidget = acme_widget:Widget\n", acme_widget="raise SystemExit")
    (plugin,) = [plugin for plugin in discovery.plugins("devices") if plugin.distribution == "acme"]
    assert (plugin.name, plugin.value, plugin.version) == ("widget", "acme_widget:Widget", "2.1")
    assert "widget" in discovery.names("devices")
    assert "acme_widget" not in sys.modules


def test_loading_imports_only_what_is_named(distribution: MakeDistribution) -> None:
    entry_points = "[southbridge.devices]\nwidget = acme_widget:Widget\ngadget = acme_gadget:Gadget\n"
    distribution("acme", "2.1", entry_points, acme_widget=WIDGET, acme_gadget="raise SystemExit")
    assert issubclass(discovery.load("devices", "widget"), Device)
    assert "acme_gadget" not in sys.modules


def test_a_plugin_that_comes_later_is_seen(distribution: MakeDistribution) -> None:
    assert "widget" not in discovery.names("devices")
    distribution("acme", "1", "[southbridge.devices]\nwidget = acme_widget:Widget\n", acme_widget=WIDGET)
    assert "widget" in discovery.names("devices")


@pytest.mark.parametrize(
    "source, cause",
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("raise AssertionError", "AssertionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Widget(", "SyntaxError: '(' was never closed (acme_widget.py, line 1)"),
        ("Other = 1", "AttributeError: module 'acme_widget' has no attribute 'Widget'"),
    ],
)
def test_a_plugin_that_fails_at_import_is_named_with_its_cause(
    distribution: MakeDistribution, source: str, cause: str
) -> None:
    distribution("acme", "2.1", "[southbridge.devices]\nwidget = acme_widget:Widget\n", acme_widget=source)
    assert (
        refusal("devices", "widget") == f"device 'widget' (acme_widget:Widget, of acme 2.1) can't be imported: {cause}"
    )


@pytest.mark.parametrize(
    "source, complaint",
    [
        ("Widget = 3", ": expected a subclass of southbridge.device.Device; it is a int"),
        ("class Widget: pass", ": expected a subclass of southbridge.device.Device; it is Widget"),
        (
            "from southbridge import Device, Property\nclass Widget(Device):\n    x: 'Nothing' = Property(3, doc='')",
            " declares properties that don't work: NameError: name 'Nothing' is not defined",
        ),
        (
            "from southbridge import Device, hookimpl\nclass Widget(Device):\n"
            "    @hookimpl\n    def machine_reset(self, engine): pass",
            ": plugin 'widget' has a hook that doesn't fit: Plugin 'widget' for hook 'machine_reset' "
            "hookimpl definition: machine_reset(self, engine) Argument(s) {'engine'} are declared in the hookimpl "
            "but can not be found in the hookspec",
        ),
        (
            "from southbridge import Device, hookimpl\nclass Widget(Device):\n"
            "    @hookimpl\n    def machine_rested(self): pass",
            ": plugin 'widget' has a hook that doesn't fit: unknown hook 'machine_rested' in plugin ",
        ),
    ],
    ids=["no class", "no device", "a property's type", "a hook's arguments", "an unknown hook"],
)
def test_a_plugin_that_is_not_what_it_should_be_is_named(
    distribution: MakeDistribution, source: str, complaint: str
) -> None:
    distribution("acme", "2.1", "[southbridge.devices]\nwidget = acme_widget:Widget\n", acme_widget=source)
    assert refusal("devices", "widget").startswith(f"device 'widget' (acme_widget:Widget, of acme 2.1){complaint}")
    assert issubclass(discovery.load("devices", "uart16550"), Device)


def test_two_distributions_with_one_name(distribution: MakeDistribution, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution("acme", "2.1", "[southbridge.devices]\nuart16550 = acme_uart:Widget\n", acme_uart=WIDGET)
    assert refusal("devices", "uart16550") == (
        "device 'uart16550' is offered by acme 2.1 and southbridge 0.1.0; choose by uninstalling one "
        "(pip uninstall acme) or switching it off (SOUTHBRIDGE_DISABLE_PLUGINS=acme:uart16550)"
    )
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "southbridge:uart16550")
    assert discovery.load("devices", "uart16550").__module__ == "acme_uart"
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "acme")
    assert discovery.load("devices", "uart16550").__module__.startswith("southbridge.plugins")


def test_two_distributions_with_one_name_and_one_class_are_still_two(distribution: MakeDistribution) -> None:
    entry_points = "[southbridge.devices]\nwidget = acme_widget:Widget\n"
    distribution("acme", "1", entry_points, acme_widget=WIDGET)
    distribution("bolt", "2", entry_points)
    assert refusal("devices", "widget").startswith("device 'widget' is offered by acme 1 and bolt 2; ")


def test_a_distribution_that_is_on_the_path_twice_counts_once(distribution: MakeDistribution) -> None:
    distribution("acme", "1", "[southbridge.devices]\nwidget = acme_widget:Widget\n", acme_widget=WIDGET)
    sys.path.append(sys.path[0])
    try:
        assert devices_of("acme") == {"widget": None}
    finally:
        sys.path.pop()


@pytest.mark.parametrize(
    "kind, name, message",
    [
        ("blockdevs", "row", "there is no blockdev 'row'; did you mean 'raw'?"),
        ("devices", "UART16550", "there is no device 'UART16550'; did you mean 'uart16550'?"),
        ("blockdevs", "stdio", "there is no blockdev 'stdio'; there is a chardev of that name"),
        ("chardevs", "zzzzz", "there is no chardev 'zzzzz' (installed: file, null, pty, socket, stdio)"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind: str, name: str, message: str) -> None:
    assert refusal(kind, name) == message


# --- switching off -----------------------------------------------------------------------------------------------

OFF = "SOUTHBRIDGE_DISABLE_PLUGINS"
NOT_ON = "SOUTHBRIDGE_LOAD_PLUGINS"


@pytest.mark.parametrize(
    "variable, value, widget, gadget",
    [
        (OFF, "", None, None),
        (OFF, "widget", OFF, None),
        (OFF, "acme-tools:gadget", None, OFF),
        (OFF, "Acme_Tools", OFF, OFF),
        (OFF, "other, widget gadget", OFF, OFF),
        (OFF, "other:widget", None, None),
        (NOT_ON, "", NOT_ON, NOT_ON),
        (NOT_ON, "other", NOT_ON, NOT_ON),
        (NOT_ON, "acme.tools", None, None),
        (NOT_ON, "widget", None, NOT_ON),
        (NOT_ON, "acme-tools:widget,acme-tools:gadget", None, None),
    ],
)
def test_the_environment_switches_plugins_off(
    distribution: MakeDistribution,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    widget: str | None,
    gadget: str | None,
) -> None:
    entry_points = "[southbridge.devices]\nwidget = acme_widget:Widget\ngadget = acme_widget:Widget\n"
    distribution("acme-tools", "1", entry_points, acme_widget=WIDGET)
    monkeypatch.setenv(variable, value)
    assert devices_of("acme-tools") == {"widget": widget, "gadget": gadget}
    assert devices_of("southbridge")["uart16550"] is None
    if widget:
        assert refusal("devices", "widget") == f"device 'widget' of acme-tools 1 is switched off by {widget}"
    else:
        assert discovery.load("devices", "widget").__name__ == "Widget"


def test_what_comes_with_southbridge_can_be_switched_off_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFF, "southbridge")
    assert discovery.names("devices") == []
    assert refusal("devices", "uart16550").endswith("is switched off by SOUTHBRIDGE_DISABLE_PLUGINS")
    assert refusal("devices", "vga") == "there is no device 'vga'; no devices are installed"


# --- broken metadata ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry_points", ["[southbridge.devices]\nwidget\n", "[southbridge.devices]\n= a:b\n", "[southbridge.devices"]
)
def test_broken_metadata_of_one_distribution_leaves_the_others(
    distribution: MakeDistribution, entry_points: str
) -> None:
    distribution("acme", "1", entry_points)
    assert issubclass(discovery.load("devices", "uart16550"), Device)


def test_a_distribution_without_a_name_leaves_the_others(
    distribution: MakeDistribution, caplog: pytest.LogCaptureFixture
) -> None:
    folder = distribution("acme", "1", "[southbridge.devices]\nwidget = a:b\n")
    (folder / "acme-1.dist-info" / "METADATA").unlink()
    assert issubclass(discovery.load("devices", "uart16550"), Device)
    assert "the metadata of an installed package is broken" in caplog.text


@pytest.mark.parametrize("value", ["", "no:such:thing", "a b", ":x"])
def test_an_entry_point_that_names_nothing(distribution: MakeDistribution, value: str) -> None:
    distribution("acme", "1", f"[southbridge.devices]\nwidget = {value}\n")
    assert refusal("devices", "widget").startswith(f"device 'widget' ({value}, of acme 1) can't be imported: ")
