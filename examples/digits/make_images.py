"""Writes scikit-learn's bundled digits as JSON lines: python make_images.py digits.ndjson [FIRST [LAST]]"""

import json
import sys

from sklearn.datasets import load_digits


def main(path, first="0", last=None):
    digits = load_digits()
    images = range(len(digits.target))[int(first) : None if last is None else int(last)]
    with open(path, "w") as file:
        for index in images:
            pixels = [int(value) for value in digits.data[index]]
            file.write(json.dumps({"pixels": pixels, "label": int(digits.target[index])}) + "\n")
    print(f"{len(images)} images in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
