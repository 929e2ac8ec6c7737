"""Load units to kN and m. 1 kgf = 9.80665e-3 kN exactly (standard gravity)."""

GRAVITY = 9.80665
_FORCE = {"kN": 1.0, "N": 1e-3, "kgf": GRAVITY * 1e-3, "tonf": GRAVITY}
FACTORS = {f"{unit}{per}": factor for unit, factor in _FORCE.items() for per in ("", "-m", "/m", "/m2")}


def to_kn(value: float, unit: str) -> float:
    """A force, moment, line or area load in `unit` as kN, kN-m, kN/m or kN/m2."""
    return value * FACTORS[unit]
