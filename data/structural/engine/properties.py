"""Materials and cross-sections: what a name like `H-400x200x8x13` or `SM355` means in numbers."""

import math
import re
from dataclasses import dataclass

from data.structural.engine.result import Refusal

DIMENSIONS = {"H": 4, "box": 3, "pipe": 2, "rectangle": 2, "circle": 1}
PREFIXES = {"H": "H", "B": "box", "□": "box", "P": "pipe", "RC": "rectangle", "C": "circle"}
_NAME = re.compile(r"^(H|B|□|P|RC|C)-(\d+(?:\.\d+)?(?:x\d+(?:\.\d+)?)*)$")


@dataclass(frozen=True)
class Material:
    """E in kN/m², thermal expansion in 1/K, unit weight in kN/m³, nominal strength in MPa (from the grade's number)."""

    kind: str
    grade: str
    e: float
    nu: float
    alpha: float
    unit_weight: float
    strength: float


@dataclass(frozen=True)
class CrossSection:
    """A cross-section: shape, dimensions in mm and the name of its material."""

    shape: str
    dims: tuple[float, ...]
    material: str


@dataclass(frozen=True)
class Properties:
    """Area (m²), strong and weak second moments of area (m⁴), torsion constant (m⁴), strong and weak moduli (m³)."""

    area: float
    i_strong: float
    i_weak: float
    j: float
    w_strong: float
    w_weak: float


def material(kind: str, grade: str) -> Material:
    """Steel: E = 210 GPa, 77.0 kN/m³. Concrete: E = 8500·∛(fck + 4) MPa (KDS 14 20 10, fck ≤ 40), 24 kN/m³."""
    strength = float(re.sub(r"\D", "", grade))
    if kind == "steel":
        return Material(kind, grade, 2.1e8, 0.3, 1.2e-5, 77.0, strength)
    return Material(kind, grade, 8500.0 * (strength + 4.0) ** (1 / 3) * 1e3, 0.167, 1.0e-5, 24.0, strength)


def kind_of_grade(grade: str) -> str:
    """Grades that are a C and a number are concrete; all others are steel."""
    return "concrete" if re.fullmatch(r"C\d+", grade) else "steel"


def parse_section(name: str) -> tuple[str, tuple[float, ...]]:
    """Shape and dimensions (mm) from a section's name. Raises ValueError when the name says neither."""
    match = _NAME.match(name)
    if not match:
        raise ValueError(f"cannot read the section name {name!r}; write for example H-400x200x8x13")
    shape = PREFIXES[match[1]]
    dims = tuple(float(d) for d in match[2].split("x"))
    check_dimensions(shape, dims)
    return shape, dims


def section_name(shape: str, dims: tuple[float, ...]) -> str:
    """The name a section gets when the request gives none."""
    prefix = {"H": "H", "box": "B", "pipe": "P", "rectangle": "RC", "circle": "C"}[shape]
    return f"{prefix}-" + "x".join(f"{d:g}" for d in dims)


def check_dimensions(shape: str, dims: tuple[float, ...]) -> None:
    """Refuse a wrong count of dimensions, or walls thicker than the section has room for."""
    if len(dims) != DIMENSIONS[shape]:
        raise Refusal(
            "bad_dimensions",
            f"{shape} 단면은 치수 {DIMENSIONS[shape]}개가 필요합니다",
            f"{shape} needs {DIMENSIONS[shape]} dimensions",
        )
    if shape == "H":
        fits = dims[2] < dims[1] and 2 * dims[3] < dims[0]
    elif shape in ("box", "pipe"):
        fits = 2 * dims[-1] < min(dims[:-1])
    else:
        fits = True
    if not fits:
        raise Refusal("bad_dimensions", "판 두께가 단면보다 큽니다", "a wall is thicker than the section")


def properties(section: CrossSection) -> Properties:
    """Elastic properties in m from dimensions in mm; thin-walled torsion for H and box, fillets left out."""
    d = [v / 1000 for v in section.dims]
    if section.shape == "H":
        h, b, tw, tf = d
        web = h - 2 * tf
        area = 2 * b * tf + web * tw
        strong = (b * h**3 - (b - tw) * web**3) / 12
        weak = (2 * tf * b**3 + web * tw**3) / 12
        j = (2 * b * tf**3 + (h - tf) * tw**3) / 3
        return Properties(area, strong, weak, j, strong / (h / 2), weak / (b / 2))
    if section.shape == "box":
        h, b, t = d
        area = b * h - (b - 2 * t) * (h - 2 * t)
        strong = (b * h**3 - (b - 2 * t) * (h - 2 * t) ** 3) / 12
        weak = (h * b**3 - (h - 2 * t) * (b - 2 * t) ** 3) / 12
        j = 2 * t * (b - t) ** 2 * (h - t) ** 2 / (b + h - 2 * t)
        return Properties(area, strong, weak, j, strong / (h / 2), weak / (b / 2))
    if section.shape == "rectangle":
        b, h = d
        long, short = max(b, h), min(b, h)
        j = long * short**3 * (1 / 3 - 0.21 * short / long * (1 - short**4 / (12 * long**4)))
        strong, weak = b * h**3 / 12, h * b**3 / 12
        return Properties(b * h, strong, weak, j, strong / (h / 2), weak / (b / 2))
    outer = d[0]
    inner = outer - 2 * d[1] if section.shape == "pipe" else 0.0
    i = math.pi * (outer**4 - inner**4) / 64
    return Properties(math.pi * (outer**2 - inner**2) / 4, i, i, 2 * i, i / (outer / 2), i / (outer / 2))
