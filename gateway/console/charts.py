"""Charts as SVG, drawn on the server: bars of counts, steps of a level, parts of a whole. Colours come from the style sheet."""

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT, BASE, TOP, LEFT = 1280, 170, 142, 12, 42
PARTS_WIDTH, PARTS_HEIGHT = 240, 14


def bars(points: Sequence[tuple[str, int]], label: str) -> Markup:
    """Returns a bar for each (name, count); every bar tells its own in a title, the highest count stands at the side."""
    most = max([count for _, count in points], default=0)
    step = (WIDTH - LEFT) / max(1, len(points))
    drawn = []
    for index, (name, count) in enumerate(points):
        height = round((BASE - TOP) * count / most, 1) if most else 0
        x = LEFT + index * step
        drawn.append(
            f'<rect class="bar" x="{x + step * 0.12:.1f}" y="{BASE - height:.1f}" width="{step * 0.76:.1f}" height="{height:.1f}" rx="1.5">'
            f"<title>{escape(name)}: {count}</title></rect>"
        )
        if index % 4 == 0:
            drawn.append(f'<text class="axis" x="{x + step / 2:.1f}" y="{BASE + 18}" text-anchor="middle">{escape(name)}</text>')
    return _frame(drawn, most, label)


def steps(levels: Sequence[int], label: str) -> Markup:
    """Returns a level that changed step by step, oldest first."""
    most = max([*levels, 1])
    step = (WIDTH - LEFT) / max(1, len(levels))
    path: list[str] = []
    for index, level in enumerate(levels):
        y = BASE - (BASE - TOP) * max(0, level) / most
        path.append(f"{'L' if path else 'M'}{LEFT + index * step:.1f} {y:.1f}H{LEFT + (index + 1) * step:.1f}")
    area = f'<path class="area" d="{"".join(path)}V{BASE}H{LEFT}Z"/><path class="line" d="{"".join(path)}"/>' if path else ""
    return _frame([area], most, label)


def parts(amounts: Sequence[tuple[str, int]], label: str) -> Markup:
    """Returns a bar cut into parts, each as wide as its amount is of the whole; every part tells its own in a title."""
    whole, x, drawn = sum(max(0, amount) for _, amount in amounts), 0.0, []
    for index, (name, amount) in enumerate(amounts):
        width = PARTS_WIDTH * max(0, amount) / whole if whole else 0
        drawn.append(
            f'<rect class="part-{index}" x="{x:.1f}" width="{width:.1f}" height="{PARTS_HEIGHT}"><title>{escape(name)}</title></rect>'
        )
        x += width
    size = f'viewBox="0 0 {PARTS_WIDTH} {PARTS_HEIGHT}" preserveAspectRatio="none"'
    return Markup(f'<svg class="chart parts" {size} role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>')  # noqa: S704


def _frame(drawn: Sequence[str], most: int, label: str) -> Markup:
    axis = (
        f'<line class="rule" x1="{LEFT}" y1="{BASE}" x2="{WIDTH}" y2="{BASE}"/>'
        f'<text class="axis" x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{most}</text>'
        f'<text class="axis" x="{LEFT - 6}" y="{BASE}" text-anchor="end">0</text>'
    )
    body = axis + "".join(drawn)
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{body}</svg>')  # noqa: S704
