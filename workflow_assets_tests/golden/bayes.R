# Golden numbers for workflow_assets.stats.bayes.
#
#   Rscript bayes.R > bayes.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite
#
# Pairs: the formula of Corani and Benavoli (2015), as in baycomp's CorrelatedTTest, with R's pt and qt. Independent arms:
# the difference of two t distributions as a convolution, by sums over quantiles, where ours mixes t distributions.

suppressPackageStartupMessages(library(jsonlite))

arms <- list(
  accuracy = c(0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931),
  baseline = c(0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916),
  dextro = c(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0), # Student's sleep data
  laevo = c(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
  counts_x = c(14, 9, 17, 12, 20, 8, 15, 11, 13, 16), counts_y = c(11, 10, 12, 12, 15, 9, 9, 11, 14, 10), # ties
  short = c(2.31, 1.84, 3.02, 2.77), long = c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74),
  two = c(1.5, 2.25), other_two = c(0.5, 1), far = c(1000.5, 1002.25, 1001, 1001.5), constant = c(1.5, 1.5, 1.5),
  passed_x = c(1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0), passed_y = c(0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0)
)
cases <- list()
add <- function(subject, arguments, x, y, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    subject = unbox(subject), call = unbox(call), arguments = lapply(arguments, unbox), x = unbox(x), y = unbox(y),
    expected = lapply(expected, unbox), tolerance = unbox(tolerance)
  )
}

# `below` and `above` give the posterior probabilities of a difference of at most, and of more than, a value.
claims <- function(subject, given, x_name, y_name, call, below, above, margin) {
  each <- list(
    list("greater", 0, below(0)), list("less", 0, above(0)), list("greater", margin, below(margin)),
    list("less", margin, above(-margin)), list("greater", -margin, below(-margin)),
    list("two-sided", 0, min(1, 2 * min(below(0), above(0)))),
    list("two-sided", margin, min(1, 2 * min(below(margin), above(-margin)))),
    list("equivalent", margin, min(1, below(-margin) + above(margin)))
  )
  for (one in each) add(subject, c(list(alternative = one[[1]], margin = one[[2]]), given), x_name, y_name, call,
                        list(p = one[[3]]))
}

for (pair in list(list("accuracy", "baseline", 0.01), list("dextro", "laevo", 1), list("counts_x", "counts_y", 2),
                  list("two", "other_two", 0.3), list("far", "short", 5), list("passed_x", "passed_y", 0.1))) {
  for (f in c(0, 0.1, 0.3)) {
    d <- arms[[pair[[1]]]] - arms[[pair[[2]]]]
    n <- length(d)
    scale <- sqrt((1 / n + f / (1 - f)) * var(d))
    given <- if (f == 0) list() else list(test_fraction = f)
    claims("bayes_correlated_t", given, pair[[1]], pair[[2]],
           "pt((value - mean(d)) / sqrt((1/n + rho/(1 - rho)) * var(d)), n - 1)",
           function(v) pt((v - mean(d)) / scale, n - 1), function(v) pt((v - mean(d)) / scale, n - 1, lower = FALSE),
           pair[[3]])
    m <- pair[[3]]
    inside <- if (mean(d) < 0) pt((-m - mean(d)) / scale, n - 1, lower = FALSE) - pt((m - mean(d)) / scale, n - 1,
      lower = FALSE) else pt((m - mean(d)) / scale, n - 1) - pt((-m - mean(d)) / scale, n - 1)
    add("correlated_posterior", given, pair[[1]], pair[[2]], "the same pt, and mean(d) + qt(c(0.025, 0.975)) * scale",
        list(rope = m, left = pt((-m - mean(d)) / scale, n - 1), inside = inside,
             right = pt((m - mean(d)) / scale, n - 1, lower = FALSE), low = mean(d) + qt(0.025, n - 1) * scale,
             high = mean(d) + qt(0.975, n - 1) * scale))
  }
}

# P(difference <= v) is the mean of pt((v - d + s_y T_y) / s_x, f_x) over T_y. Its t density is summed by the tanh-sinh
# rule over quantiles from either end, so that heavy tails are seen.
below_unpaired <- function(x, y, v) {
  d <- mean(x) - mean(y)
  s_x <- sd(x) / sqrt(length(x)); s_y <- sd(y) / sqrt(length(y))
  if (s_y == 0) return(pt((v - d) / s_x, length(x) - 1))
  if (s_x == 0) return(pt((v - d) / s_y, length(y) - 1))
  u <- seq(-6, 0, 0.002) # quantile p = 1 / (1 + exp(-pi sinh(u))), tiny at the left end
  p <- 1 / (1 + exp(-pi * sinh(u)))
  weight <- pi * cosh(u) * p * (1 - p) * 0.002
  weight[length(u)] <- weight[length(u)] / 2 # the middle belongs to both halves
  t <- qt(p, length(y) - 1)
  sum(weight * (pt((v - d + s_y * t) / s_x, length(x) - 1) + pt((v - d - s_y * t) / s_x, length(x) - 1)))
}
for (pair in list(list("accuracy", "baseline", 0.01), list("short", "long", 0.5), list("two", "other_two", 0.3),
                  list("two", "long", 0.5), list("far", "long", 5), list("counts_x", "counts_y", 2),
                  list("constant", "long", 0.2), list("long", "constant", 0.2), list("passed_x", "passed_y", 0.1))) {
  x <- arms[[pair[[1]]]]; y <- arms[[pair[[2]]]]
  claims("bayes_unpaired_t", list(), pair[[1]], pair[[2]],
         "mean of pt((v - d + s_y T_y) / s_x, n_x - 1) over T_y ~ t(n_y - 1)",
         function(v) below_unpaired(x, y, v), function(v) below_unpaired(y, x, -v), pair[[3]])
  d <- mean(x) - mean(y)
  reach <- uniroot(function(r) below_unpaired(x, y, d - r) - 0.025, c(0, 50 * (sd(x) + sd(y))), tol = 1e-14)$root
  add("unpaired_posterior", list(), pair[[1]], pair[[2]], "uniroot of the same, at 0.025",
      list(low = d - reach, high = d + reach))
}

json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
origin <- list(
  script = unbox("bayes.R"), command = unbox("Rscript bayes.R > bayes.json"), R = unbox(R.version.string),
  jsonlite = unbox(as.character(packageVersion("jsonlite"))), tolerance = unbox("relative, for each expected number")
)
cat(sprintf('{\n  "origin": %s,\n  "arms": {\n%s\n  },\n  "cases": [\n%s\n  ]\n}\n', json(origin),
            lines(sprintf('"%s": %s', names(arms), sapply(arms, json))), lines(sapply(cases, json))))
