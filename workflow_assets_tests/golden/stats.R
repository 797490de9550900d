# Golden numbers for workflow_assets.stats.
#
#   Rscript stats.R > stats.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-effectsize r-cran-exactranktests
#
# Every case states the R call that made it, its inputs and the relative tolerance of the comparison. Where no package
# offers a method, the formula is written out here once more, independently: by the full table of pairs where ours
# sorts, by the roots of a polynomial where ours bisects, by R's noncentral t where ours integrates.

suppressPackageStartupMessages({
  library(jsonlite)
  library(effectsize)
  library(exactRankTests)
})

accuracy <- c(0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931)
baseline <- c(0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916)
# Student's sleep data: extra hours under two drugs, ten patients.
dextro <- c(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
laevo <- c(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
counts_x <- c(14, 9, 17, 12, 20, 8, 15, 11, 13, 16)
counts_y <- c(11, 10, 12, 12, 15, 9, 9, 11, 14, 10)
short <- c(2.31, 1.84, 3.02, 2.77)
long <- c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74)
wave_x <- round(10 + 2 * sin(1:60) + (1:60) / 100, 4)
wave_y <- round(10 + 2 * cos(3 * (1:60)) + (1:60) / 130, 4)
passed_x <- c(1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1)
passed_y <- c(0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1)

arms <- list(
  accuracy = accuracy, baseline = baseline, dextro = dextro, laevo = laevo, counts_x = counts_x, counts_y = counts_y,
  short = short, long = long, long_and_9 = long + 9, wave_x = wave_x, wave_y = wave_y, wave_x_9 = wave_x[1:9],
  wave_y_9 = wave_y[1:9], wave_y_40 = wave_y[1:40], wave_x_and_30 = wave_x + 30, passed_x = passed_x,
  passed_y = passed_y, whole_x = round(10 * wave_x[1:24]), whole_y = round(10 * wave_y[1:24])
)

# A case names its arms; `x` and `y` below are their values.
cases <- list()
add <- function(subject, arguments, x, y, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    subject = unbox(subject), call = unbox(call), arguments = lapply(arguments, unbox),
    x = unbox(x), y = unbox(y), expected = lapply(expected, unbox), tolerance = unbox(tolerance)
  )
}

# The margin of a claim, as R's mu: x - y > m, or x - y < -m.
mu_of <- function(alternative, margin) if (alternative == "less" && margin != 0) -margin else margin
r_name <- function(alternative) if (alternative == "two-sided") "two.sided" else alternative
sides <- list(list("greater", 0), list("less", 0), list("two-sided", 0))
with_margin <- function(m) c(sides, list(list("greater", m), list("greater", -m), list("less", m), list("less", -m)))

# --------------------------------------------------------------------------------------------------------- t-tests

t_cases <- function(subject, x_name, y_name, paired, margin) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  for (side in with_margin(margin)) {
    mu <- mu_of(side[[1]], side[[2]])
    r <- t.test(x, y, paired = paired, alternative = r_name(side[[1]]), mu = mu)
    add(subject, list(alternative = side[[1]], margin = side[[2]]), x_name, y_name,
        sprintf('t.test(x, y, paired = %s, alternative = "%s", mu = %g)', paired, r_name(side[[1]]), mu),
        list(statistic = r$statistic[[1]], df = r$parameter[[1]], p = r$p.value))
  }
  p <- c(t.test(x, y, paired = paired, alternative = "greater", mu = margin)$p.value,
         t.test(x, y, paired = paired, alternative = "less", mu = -margin)$p.value)
  add(subject, list(alternative = "two-sided", margin = margin), x_name, y_name,
      sprintf("min(1, 2 * min(p of greater with mu = %g, p of less with mu = -%g))", margin, margin),
      list(p = min(1, 2 * min(p))))
}
t_cases("paired_t", "accuracy", "baseline", TRUE, 0.005)
t_cases("paired_t", "dextro", "laevo", TRUE, 1)
t_cases("welch_t", "short", "long", FALSE, 0.5)
t_cases("welch_t", "wave_x", "wave_y", FALSE, 0.25)

for (f in c(0.1, 0.3, 0.5)) {
  d <- accuracy - baseline
  t <- mean(d) / sqrt((1 / length(d) + f / (1 - f)) * var(d))
  add("corrected_resampled_t", list(alternative = "greater", margin = 0, test_fraction = f), "accuracy", "baseline",
      "t = mean(d) / sqrt((1/n + f/(1-f)) * var(d)); pt(t, n - 1, lower.tail = FALSE)",
      list(statistic = t, df = length(d) - 1, p = pt(t, length(d) - 1, lower.tail = FALSE)))
}

# -------------------------------------------------------------------------------------------------------- rank tests

rank_cases <- function(subject, x_name, y_name, paired, sides, exact) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  for (side in sides) {
    mu <- mu_of(side[[1]], side[[2]])
    r <- suppressWarnings(wilcox.test(x, y, paired = paired, alternative = r_name(side[[1]]), mu = mu))
    add(subject, list(alternative = side[[1]], margin = side[[2]]), x_name, y_name,
        sprintf('wilcox.test(x, y, paired = %s, alternative = "%s", mu = %g)', paired, r_name(side[[1]]), mu),
        list(statistic = r$statistic[[1]], p = r$p.value, exact = exact))
  }
}
rank_cases("wilcoxon_signed_rank", "wave_x_9", "wave_y_9", TRUE, with_margin(0.35), TRUE)
rank_cases("wilcoxon_signed_rank", "wave_x", "wave_y", TRUE, with_margin(0.35), FALSE) # 50 or more
rank_cases("wilcoxon_signed_rank", "counts_x", "counts_y", TRUE, with_margin(1), FALSE) # ties and zeros
rank_cases("mann_whitney", "short", "long", FALSE, with_margin(0.333), TRUE)
rank_cases("mann_whitney", "wave_x", "wave_y_40", FALSE, with_margin(0.35), FALSE) # 50 or more
rank_cases("mann_whitney", "counts_x", "counts_y", FALSE, sides, FALSE) # ties
rank_cases("mann_whitney", "passed_x", "passed_y", FALSE, sides, FALSE) # 0 and 1

# --------------------------------------------------------------------------------------------------------- sign-flip

for (side in with_margin(1)) {
  mu <- mu_of(side[[1]], side[[2]])
  r <- perm.test(counts_x - mu, counts_y, paired = TRUE, alternative = r_name(side[[1]]), exact = TRUE)
  add("sign_flip", list(alternative = side[[1]], margin = side[[2]]), "counts_x", "counts_y",
      sprintf('exactRankTests::perm.test(x - %g, y, paired = TRUE, alternative = "%s", exact = TRUE)', mu,
              r_name(side[[1]])),
      list(statistic = mean(counts_x - counts_y), p = r$p.value, exact = TRUE))
}
for (side in sides) {
  won <- sum(passed_x > passed_y)
  lost <- sum(passed_x < passed_y)
  r <- binom.test(won, won + lost, alternative = r_name(side[[1]]))
  add("sign_flip", list(alternative = side[[1]], margin = 0), "passed_x", "passed_y",
      sprintf('binom.test(sum(x > y), sum(x != y), alternative = "%s")  # McNemar, exact', r_name(side[[1]])),
      list(statistic = mean(passed_x - passed_y), p = r$p.value, exact = TRUE))
}
add("sign_flip", list(alternative = "greater", margin = 0), "wave_x_and_30", "wave_x",
    'binom.test(60, 60, alternative = "greater")',
    list(statistic = 30, p = binom.test(60, 60, alternative = "greater")$p.value, exact = TRUE))
# Drawn, not counted: 9,999 draws have a standard error of at most 0.005.
add("sign_flip", list(alternative = "greater", margin = 0), "whole_x", "whole_y",
    'exactRankTests::perm.test(x, y, paired = TRUE, alternative = "greater", exact = TRUE)',
    list(p = perm.test(arms$whole_x, arms$whole_y, paired = TRUE, alternative = "greater", exact = TRUE)$p.value,
         exact = FALSE),
    tolerance = 0.05)

# ------------------------------------------------------------------------------------------------------------ effects

interval_cases <- function(x_name, y_name, paired) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  for (level in c(0.8, 0.95, 0.99)) {
    r <- t.test(x, y, paired = paired, conf.level = level)
    estimate <- if (paired) mean(x - y) else mean(x) - mean(y)
    add("mean_difference", list(paired = paired, confidence = level), x_name, y_name,
        sprintf("t.test(x, y, paired = %s, conf.level = %g)$conf.int", paired, level),
        list(estimate = estimate, low = r$conf.int[[1]], high = r$conf.int[[2]]))
  }
}
interval_cases("accuracy", "baseline", TRUE)
interval_cases("dextro", "laevo", TRUE)
interval_cases("short", "long", FALSE)

d <- accuracy - baseline
reach <- qt(0.975, length(d) - 1) * sqrt((1 / length(d) + 0.3 / 0.7) * var(d))
add("mean_difference", list(paired = TRUE, confidence = 0.95, variance_inflation = 1 + length(d) * 0.3 / 0.7),
    "accuracy", "baseline", "mean(d) + c(-1, 1) * qt(0.975, n - 1) * sqrt((1/n + 0.3/0.7) * var(d))",
    list(estimate = mean(d), low = mean(d) - reach, high = mean(d) + reach))

# The estimate is Hedges' g; the interval is that of the true value, which effectsize gives with Cohen's d (with g it
# multiplies the bounds by J as well). effectsize minimises |pt(t, df, ncp) - 0.975| + |... - 0.025| with Nelder-Mead,
# where the second case of each pair solves for them: hence two tolerances.
ncp_bounds <- function(t, df) {
  sapply(c(0.975, 0.025), function(p)
    uniroot(function(ncp) pt(t, df, ncp) - p, c(-37, 37), tol = 1e-13)$root)
}
J <- function(df) exp(lgamma(df / 2) - lgamma((df - 1) / 2) - log(df / 2) / 2)

for (pair in list(c("short", "long"), c("dextro", "laevo"), c("wave_x", "wave_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  g <- hedges_g(x, y, pooled_sd = TRUE)
  d <- cohens_d(x, y, pooled_sd = TRUE)
  add("hedges_g", list(paired = FALSE, confidence = 0.95), pair[1], pair[2],
      "effectsize::hedges_g(x, y)$Hedges_g; effectsize::cohens_d(x, y)[c('CI_low', 'CI_high')]",
      list(estimate = g$Hedges_g, low = d$CI_low, high = d$CI_high), tolerance = 1e-5)
  df <- length(x) + length(y) - 2
  s <- sqrt(((length(x) - 1) * var(x) + (length(y) - 1) * var(y)) / df)
  factor <- sqrt(1 / length(x) + 1 / length(y))
  bounds <- factor * ncp_bounds((mean(x) - mean(y)) / (s * factor), df)
  add("hedges_g", list(paired = FALSE, confidence = 0.95), pair[1], pair[2],
      "J(df) * d; sqrt(1/n1 + 1/n2) * (ncp with pt(t, df, ncp) of 0.975 and 0.025)",
      list(estimate = J(df) * (mean(x) - mean(y)) / s, low = bounds[[1]], high = bounds[[2]]), tolerance = 1e-8)
}
for (pair in list(c("accuracy", "baseline"), c("dextro", "laevo"), c("wave_x", "wave_y"), c("counts_x", "counts_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  n <- length(x)
  S <- cov(cbind(x, y))
  sd_df <- (n - 1) * (S[1, 1] + S[2, 2])^2 / (S[1, 1]^2 + S[2, 2]^2 + 2 * S[1, 2]^2)
  s <- sqrt((S[1, 1] + S[2, 2]) / 2)
  bounds <- sd(x - y) / sqrt(n) / s * ncp_bounds(t.test(x, y, paired = TRUE)$statistic, n - 1)
  add("hedges_g", list(paired = TRUE, confidence = 0.95), pair[1], pair[2],
      "J((n-1)(a+b)^2/(a^2+b^2+2c^2)) * d; sd(x - y)/sqrt(n)/s * (ncp with pt(t, n - 1, ncp) of 0.975 and 0.025)",
      list(estimate = J(sd_df) * mean(x - y) / s, low = bounds[[1]], high = bounds[[2]]), tolerance = 1e-8)
}

for (pair in list(c("short", "long"), c("dextro", "laevo"), c("counts_x", "counts_y"), c("passed_x", "passed_y"),
                  c("wave_x", "wave_y_40"), c("long_and_9", "short"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  n <- length(x); m <- length(y)
  z <- qnorm(0.975)
  dominance <- sign(outer(x, y, "-"))
  delta <- mean(dominance)
  stopifnot(all.equal(delta, suppressWarnings(cliffs_delta(x, y)$r_rank_biserial)))
  if (delta == 1) { # Feng and Cliff (2004), equation 8
    bounds <- c((min(n, m) - z^2) / (min(n, m) + z^2), 1)
  } else {
    rows <- var(rowMeans(dominance))
    columns <- var(colMeans(dominance))
    cells <- sum((dominance - delta)^2) / ((n - 1) * (m - 1))
    v <- ((m - 1) * rows + (n - 1) * columns + cells) / (n * m)
    bounds <- (delta - delta^3 + c(-1, 1) * z * sqrt(v) * sqrt((1 - delta^2)^2 + z^2 * v)) / (1 - delta^2 + z^2 * v)
  }
  add("cliffs_delta", list(paired = FALSE, confidence = 0.95), pair[1], pair[2],
      "effectsize::cliffs_delta(x, y); Feng and Cliff (2004) over sign(outer(x, y, '-'))",
      list(estimate = delta, low = bounds[[1]], high = bounds[[2]]))
}

# Tango's score interval by the quartic of Yang, Sun and Hardin (2013), "A non-iterative implementation of Tango's score
# confidence interval for a paired difference of proportions", Statistics in Medicine 32.
tango <- function(n, b, c, level) {
  g <- qnorm(0.5 + level / 2)^2
  k <- b - c
  coefficients <- c(
    k^2 * (k^2 / g - (b + c)) / g,
    n * k * (2 * (b + c) / g + 1) - k^3 * (4 * n / g + 1) / g,
    2 * n * k^2 * (3 * n / g + 2) / g - n^2 * ((b + c) / g + 1),
    -n * k * (n / g + 1) * (4 * n / g + 1),
    n^2 * (n / g + 1)^2
  )
  roots <- polyroot(coefficients)
  range(Re(roots[abs(Im(roots)) < 1e-6]))
}
for (pair in list(c("accuracy", "baseline"), c("counts_x", "counts_y"), c("passed_x", "passed_y"),
                  c("wave_x", "wave_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  for (level in c(0.9, 0.95)) {
    b <- sum(x > y); c <- sum(x < y)
    bounds <- tango(length(x), b, c, level)
    add("cliffs_delta", list(paired = TRUE, confidence = level), pair[1], pair[2],
        "mean(sign(x - y)); Tango's score interval by the quartic of Yang, Sun and Hardin (2013)",
        list(estimate = mean(sign(x - y)), low = bounds[[1]], high = bounds[[2]]), tolerance = 1e-7)
  }
}

holm <- lapply(list(c(0.01, 0.04, 0.03, 0.005), c(0.5, 0.6, 0.9), c(0.02, 0.02, 0.001, 0.8, 0.013), 0.2),
               function(p) list(call = unbox('p.adjust(p, "holm")'), p = p, adjusted = p.adjust(p, "holm"),
                                tolerance = unbox(1e-12)))

# One line per case, so that a changed number is a changed line.
json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
version_of <- function(package) unbox(as.character(packageVersion(package)))
origin <- list(
  script = unbox("stats.R"), command = unbox("Rscript stats.R > stats.json"), R = unbox(R.version.string),
  jsonlite = version_of("jsonlite"), effectsize = version_of("effectsize"),
  exactRankTests = version_of("exactRankTests"),
  tolerance = unbox("relative, for each expected number")
)
cat(sprintf(
  '{\n  "origin": %s,\n  "arms": {\n%s\n  },\n  "cases": [\n%s\n  ],\n  "holm": [\n%s\n  ]\n}\n', json(origin),
  lines(sprintf('"%s": %s', names(arms), sapply(arms, json))), lines(sapply(cases, json)), lines(sapply(holm, json))
))
