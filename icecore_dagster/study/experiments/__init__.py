"""What is measured: one function an experiment, each a call or two into the rooms below and the numbers it gave."""
