"""What all pictures of the project share: the pages' colours by day (base.css), and a font for Hangul."""

from functools import cache

INK, SOFT, RULE, PAPER = "#20272b", "#5a656b", "#e2e0d9", "#fffefb"
ACCENT, GOOD, BAD = "#17617f", "#2c7752", "#b0412b"
HANGUL_FONTS = (
    "Pretendard",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumBarunGothic",
    "NanumGothic",
)


@cache
def hangul_fonts() -> tuple[str, ...]:
    """Those fonts for Hangul, which matplotlib's own lacks, that this machine has; empty where it has none of them."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in HANGUL_FONTS if name in installed)
