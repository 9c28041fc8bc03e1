"""The page that says how real the simulator's particles are; what it shows is measured in `learning.realism`."""
