"""Reading the settings of the table."""

from typing import Any, Dict, List, Mapping, Tuple

from .settings_table import SETTINGS, Setting


def settings_of(world: str) -> List[Setting]:
    """The settings of FUNC or of APP, in the order of the documentation."""
    return [setting for setting in SETTINGS.values() if world in setting.worlds]


def read_settings(world: str, given: Mapping[str, Tuple[str, Any]]) -> Dict[str, Any]:
    """The value of each setting of `world`: as given, else the default.

    `given`: name of the setting -> (source of the value, value). Raises ValueError, which names the source of
    a wrong value, and TypeError for an unknown name.
    """
    known = {setting.name: setting for setting in settings_of(world)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(f"there is no setting {unknown[0]}: the settings are {', '.join(known)}")
    values = {name: setting.default_in(world) for name, setting in known.items()}
    for name, (source, value) in given.items():
        try:
            values[name] = known[name].read(value)
        except ValueError as error:
            raise ValueError(f"{source} {error}") from None
    return values
