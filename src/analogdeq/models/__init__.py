"""Models: networks with an equilibrium inside, as ordinary `nn.Module`s."""
