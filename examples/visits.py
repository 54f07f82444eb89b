"""Write visits.csv, the table of the README's tour: 3000 rows of 0 and 1, drawn at random."""

import csv

import numpy as np

random = np.random.default_rng(0)
n = 3000
smoker = random.random(n) < 0.3
cough = random.random(n) < np.where(smoker, 0.6, 0.1)
fever = random.random(n) < 0.15
rest = fever | (cough & (random.random(n) < 0.3))
with open("visits.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["smoker", "cough", "fever", "rest"])
    writer.writerows(np.column_stack([smoker, cough, fever, rest]).astype(int).tolist())
print("visits.csv: 3000 rows")
