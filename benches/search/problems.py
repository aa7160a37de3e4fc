"""The problems of the benchmark, as examples/search_benchmark.rs has them too.

Four parameters from 0.01 to 1, in steps of 0.0001, whose scale is logarithmic: what counts is the ratio to the
optimum. Start and optimum are drawn anew for each seed, the same for everybody. Smaller is better, 0 is the best.
"""
import math
import random

LOW, HIGH, STEP, PARAMETERS = 0.01, 1.0, 0.0001, 4
WIDTH = math.log(HIGH / LOW)


def sphere(u):
    return sum(x * x for x in u)


def rosenbrock(u):
    y = [1 + x for x in u]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(y, y[1:]))


def plateau(u):
    """Flat in steps of 0.2, about 20 %: a threshold that no price comes near to."""
    return sum((math.floor(5 * abs(x)) / 5) ** 2 for x in u)


FUNCTIONS = {"sphere": sphere, "rosenbrock": rosenbrock, "plateau": plateau}


class Problem:
    """One function with its optimum and the values to start from; counts, and keeps the best so far."""

    def __init__(self, function, seed):
        numbers = random.Random(f"{function}/{seed}")
        place = lambda low, high: self.rounded(LOW * math.exp(WIDTH * numbers.uniform(low, high)))
        self.function, self.seed = function, seed
        self.optimum = [place(0.2, 0.8) for _ in range(PARAMETERS)]
        self.start = [place(0.0, 1.0) for _ in range(PARAMETERS)]
        self.best = []

    @staticmethod
    def rounded(x):
        return min(max(round(x / STEP), round(LOW / STEP)), round(HIGH / STEP)) / round(1 / STEP)

    def value(self, values):
        return FUNCTIONS[self.function]([math.log(x / o) for x, o in zip(values, self.optimum)])

    def __call__(self, values):
        """The fitness at the grid's nearest values."""
        fitness = self.value([self.rounded(x) for x in values])
        self.best.append(min(fitness, self.best[-1]) if self.best else fitness)
        return fitness

    def at(self, places):
        """The fitness at places between 0 and 1 on the logarithmic scale."""
        return self([LOW * math.exp(WIDTH * min(max(place, 0.0), 1.0)) for place in places])

    def places(self):
        return [math.log(x / LOW) / WIDTH for x in self.start]
