"""Bogacki-Shampine 3(2): half the stages of tsit5 per step, for loose tolerances.

Source: P. Bogacki and L. F. Shampine, Appl. Math. Lett. 2:321 (1989); dense output is the cubic Hermite polynomial.
"""

from analogdeq.solve.tableau import Tableau

BOSH3 = Tableau(
    name="bosh3",
    order=3,
    a=((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    dense=(
        (1.0, -2 + 2 / 3, 1 - 4 / 9),
        (0.0, 1.0, -2 / 3),
        (0.0, 4 / 3, -8 / 9),
        (0.0, -1.0, 1.0),
    ),
)
