"""Whether training can fit: twenty clips of real footage, learnt by heart."""
