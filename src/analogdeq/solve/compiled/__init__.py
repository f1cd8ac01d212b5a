"""Settles as compiled code: whole settles of smooth dense networks, without an operation of torch in between.

A settle of a small network is limited by how many operations it is made of, not by their arithmetic (decision 0099).
Here numba compiles loops over nodes, and sixteen samples at a time share their products with W. What is decided are the
samples for which everything goes well, by the equations, tolerances and certificates of `analogdeq.solve.loop`; every
other one is left to that loop, which begins it anew. Nothing imports this package but `analogdeq.solve.native`.

In the order in which a sample meets them:

    sprint.py      samples in, outcomes out; threads
    network.py     which cores there is compiled code for, and their numbers
    control.py     what is asked for
    lanes.py       what is known of each sample, and the room it is worked on in
    chunk.py       the steps of a settle, one after the other
    series.py      Taylor series of trajectories
    step_size.py   how far a series holds
    joules.py      what a step costs, by the watts.py of a few states in it
    march.py       steps until a sample is slow, or where it was asked to be asked about
    pulled.py      waveforms of a stiff network in a step
    wave.py        the same steps for those
    band_exit.py   when a sample is last outside the band in a step
    search.py      the rest ahead
    outlook.py     whether that rest attracts, and a sample near it stays
    arrival.py     when the linearised circuit brings it there, and its joules on the way
    excursion.py   when a state of the linearised circuit is last outside the band
    space.py       Krylov spaces; inverse_space.py those of stiff networks
    quadrature.py, arithmetic.py, jit.py
"""
