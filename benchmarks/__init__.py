"""What lading costs, side by side with what people use now, on the same machine in the same minute.

python -m benchmarks.wheels61      the 61 wheels, about 304 MB, into build/bench/wheels
python -m benchmarks.floor         what inflating, hashing and writing them costs at the very least
python -m benchmarks.build         lading beside Docker; Markdown on stdout, JSON beside it
"""
