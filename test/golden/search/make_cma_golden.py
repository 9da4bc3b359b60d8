"""CMA-ES by the package cma: test/golden/search/cma.json.

Run with cma 4.5.0 and numpy, from this folder: python make_cma_golden.py > cma.json
Holds the constants for some dimensions, a trace of every state with the samples it learnt from, and how many evaluations three
functions in ten dimensions take until f < 1e-10, with the options that cma has by default.
Constants and trace have the tutorial's rate of the step-size path, (mu_eff + 2) / (n + mu_eff + 5); cma has + 3. For large
populations cma damps the step size more than the tutorial; there are none here.
"""
import json

import cma
import numpy as np

QUIET = {"verbose": -9, "verb_log": 0}


def sphere(x):
    return float(np.sum(np.square(x)))


def ellipsoid(x):
    return float(np.sum(1e6 ** (np.arange(len(x)) / (len(x) - 1)) * np.square(x)))


def rosenbrock(x):
    x = np.asarray(x)
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def strategy(x0, sigma0, options):
    n = len(x0)
    mu_eff = cma.CMAEvolutionStrategy(x0, sigma0, {**QUIET, **options}).sp.weights.mueff
    cma.sigma_adaptation._CSA_cs = (mu_eff + 2) / (n + mu_eff + 5)
    es = cma.CMAEvolutionStrategy(x0, sigma0, {**QUIET, **options})
    es.adapt_sigma.initialize(es)
    cma.sigma_adaptation._CSA_cs = None
    return es


def constants(n, popsize):
    es = strategy(n * [0], 1, {"popsize": popsize})
    return {
        "n": n, "lambda": es.popsize, "weights": [float(w) for w in es.sp.weights], "mu": es.sp.weights.mu,
        "muEff": float(es.sp.weights.mueff), "cSigma": float(es.adapt_sigma.cs), "cC": float(es.sp.cc),
        "c1": float(es.sp.c1), "cMu": float(es.sp.cmu), "dSigma": float(es.adapt_sigma.damps),
    }


def state(es):
    return {
        "mean": list(map(float, es.mean)), "sigma": float(es.sigma), "covariance": es.sm.C.tolist(),
        "pathC": list(map(float, es.pc)), "pathSigma": list(map(float, es.adapt_sigma.ps)),
    }


def trace(n, popsize, generations, seed):
    es = strategy(n * [1], 0.5, {"popsize": popsize, "seed": seed})
    covariance0 = es.sm.C.tolist()  # cma begins with a diagonal that is not quite that of ones
    steps = []
    for _ in range(generations):
        samples = es.ask()
        losses = [rosenbrock(x) for x in samples]
        es.tell(samples, losses)
        steps.append({"samples": [list(map(float, x)) for x in samples], "losses": losses, **state(es)})
    return {"n": n, "sigma0": 0.5, "mean0": n * [1.0], "covariance0": covariance0, "steps": steps}


def evaluations(function, x0, sigma0):
    counts = []
    for seed in range(1, 8):
        es = cma.CMAEvolutionStrategy(10 * [x0], sigma0, {**QUIET, "seed": seed, "ftarget": 1e-10})
        es.optimize(function)
        counts.append(es.result.evaluations if es.result.fbest < 1e-10 else None)
    return counts


print(json.dumps({
    "version": cma.__version__.split()[0],
    "constants": [constants(n, size) for n, size in ((2, 6), (6, 9), (10, 10), (24, 13), (10, 14))],
    "trace": trace(4, 8, 12, 5),
    "evaluations": {
        "sphere": evaluations(sphere, 3, 1),
        "ellipsoid": evaluations(ellipsoid, 3, 1),
        "rosenbrock": evaluations(rosenbrock, 0, 0.5),
    },
}))
