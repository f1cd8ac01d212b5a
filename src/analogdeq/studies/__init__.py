"""Studies: experiments on the parts, shipped so that anyone can repeat them."""
