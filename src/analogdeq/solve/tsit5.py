"""Tsitouras 5(4): what `auto` begins with, for tolerances below 1e-2.

Source: Ch. Tsitouras, Comput. Math. Appl. 62:770 (2011), the pair of its table 1 and the interpolant of its section 4.
"""

import numpy as np

from analogdeq.solve.tableau import Row, Tableau


def _expand(factor: float, *roots_or_quadratics: float | tuple[float, float], power: int) -> Row:
    """Coefficients of theta to theta^4 of factor * theta^power * (theta - root) ... (theta^2 + p theta + q) ..."""
    poly = np.array([factor])
    for item in roots_or_quadratics:
        poly = np.polymul(poly, [1.0, *item] if isinstance(item, tuple) else [1.0, -item])
    ascending = [0.0] * power + poly[::-1].tolist()
    return tuple(float(c) for c in (ascending + [0.0] * 5)[1:5])


TSIT5 = Tableau(
    name="tsit5",
    order=5,
    a=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    error=(
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ),
    dense=(
        _expand(-1.0530884977290216, 1.3299890189751412, (-1.4364028541716351, 0.7139816917074209), power=1),
        _expand(0.1017, (-2.1966568338249754, 1.2949852507374631), power=2),
        _expand(2.490627285651252793, (-2.38535645472061657, 1.57803468208092486), power=2),
        _expand(-16.54810288924490272, 1.21712927295533244, 0.61620406037800089, power=2),
        _expand(47.37952196281928122, 1.203071208372362603, 0.658047292653547382, power=2),
        _expand(-34.87065786149660974, 1.2, 0.666666666666666667, power=2),
        _expand(2.5, 1.0, 0.6, power=2),
    ),
)
