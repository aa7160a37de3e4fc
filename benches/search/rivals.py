"""The others: each takes a problem, a budget of evaluations and a seed. The source's own evaluation counts.

All see the logarithmic scale, and all start from the source's values.
"""
import random

from problems import HIGH, LOW, PARAMETERS


def random_search(problem, budget, seed):
    numbers = random.Random(seed)
    problem.at(problem.places())
    for _ in range(budget - 1):
        problem.at([numbers.random() for _ in range(PARAMETERS)])


def deap_mu_plus_lambda(problem, budget, seed):
    """eaMuPlusLambda with blend crossover and Gaussian mutation on genes between 0 and 1."""
    from deap import algorithms, base, creator, tools

    if not hasattr(creator, "Individual"):
        creator.create("Fitness", base.Fitness, weights=(-1.0,))
        creator.create("Individual", list, fitness=creator.Fitness)
    random.seed(seed)
    toolbox = base.Toolbox()
    toolbox.register("evaluate", lambda genes: (problem.at(genes),))
    toolbox.register("mate", tools.cxBlend, alpha=0.5)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=0.1, indpb=0.5)
    toolbox.register("select", tools.selBest)
    mu, offspring = 5, 10
    population = [creator.Individual(problem.places())]
    population += [creator.Individual([random.random() for _ in range(PARAMETERS)]) for _ in range(mu - 1)]
    rounds = (budget - mu) // offspring
    algorithms.eaMuPlusLambda(population, toolbox, mu, offspring, 0.5, 0.5, rounds, verbose=False)


def nevergrad(name):
    def run(problem, budget, seed):
        import nevergrad as ng
        import warnings

        warnings.simplefilter("ignore")
        scalars = [ng.p.Log(init=x, lower=LOW, upper=HIGH) for x in problem.start]
        space = ng.p.Tuple(*scalars)
        space.random_state.seed(seed)
        optimizer = ng.optimizers.registry[name](space, budget=budget)
        problem(problem.start)
        for _ in range(budget - 1):
            asked = optimizer.ask()
            optimizer.tell(asked, problem(asked.value))

    return run


RIVALS = {
    "random search": random_search,
    "DEAP eaMuPlusLambda": deap_mu_plus_lambda,
    "nevergrad OnePlusOne": nevergrad("OnePlusOne"),
    "nevergrad DE": nevergrad("DE"),
    "nevergrad CMA": nevergrad("CMA"),
}
