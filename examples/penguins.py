"""A mixed table with missing cells: fit it, ask it, and find the cell that does not belong.

Writes penguins.csv, the table of the README's tour: the Palmer penguins, which made ships (CC0).
"""

from importlib.resources import files
from pathlib import Path

import pandas as pd

import made

Path("penguins.csv").write_bytes((files("made") / "data" / "penguins.csv").read_bytes())
penguins = pd.read_csv("penguins.csv")

# A short fit on one thread: enough to tell the species apart.
density = made.fit(
    penguins, hidden=(64, 64), max_epochs=150, threads=1, combine="mixture", progress=False
)
print(density)

# A Gentoo as heavy as they come, and the same bird claimed to be an Adelie.
gentoo = penguins[penguins["species"] == "Gentoo"].nlargest(1, "body_mass_g")
claimed = gentoo.assign(species="Adelie")
for name, birds in (("as it is", gentoo), ("as an Adelie", claimed)):
    print(f"{name:<13} log p = {density.log_prob(birds)[0]:.2f} nats")

# What is known of a bird whose sex was not recorded.
unknown = penguins[penguins["sex"].isna()].head(3)
print(density.log_prob(unknown, missing="ignore").round(2))

# The same frame out: columns, types, missing cells.
drawn = density.sample(1000, seed=1)
assert (drawn.dtypes == penguins.dtypes).all()
print(drawn.groupby("species")["body_mass_g"].mean().round())
