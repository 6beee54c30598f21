import matplotlib.pyplot as plt
import pandas as pd

pd.read_csv("metrics.csv").plot()
plt.savefig("metrics.png")
