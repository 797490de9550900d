# Golden numbers for the effects and bootstraps of workflow_assets.stats.
#
#   Rscript effects.R > effects.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-effectsize r-cran-boot
#
# Every case states the R call that made it, its inputs and the relative tolerance of the comparison. Where no package
# offers a method, the formula is written out here once more: by the full table of pairs where ours selects, by the
# roots of a quadratic where ours moves from the estimate.

suppressPackageStartupMessages({
  library(jsonlite)
  library(effectsize)
  library(boot)
})

dextro <- c(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
laevo <- c(1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
counts_x <- c(14, 9, 17, 12, 20, 8, 15, 11, 13, 16)
counts_y <- c(11, 10, 12, 12, 15, 9, 9, 11, 14, 10)
tied_x <- c(3, 5, 4, 7, 6, 5)
tied_y <- c(1, 3, 3, 4, 2, 6)
short <- c(2.31, 1.84, 3.02, 2.77)
long <- c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74)
wave_x <- round(10 + 2 * sin(1:60) + (1:60) / 100, 4)
wave_y <- round(10 + 2 * cos(3 * (1:60)) + (1:60) / 130, 4)
passed_x <- c(1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1)
passed_y <- c(0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1)

arms <- list(
  dextro = dextro, laevo = laevo, counts_x = counts_x, counts_y = counts_y, tied_x = tied_x, tied_y = tied_y,
  short = short, long = long, far = long + 900, wave_x = wave_x, wave_y = wave_y, wave_x_9 = wave_x[1:9],
  wave_y_9 = wave_y[1:9], wave_y_40 = wave_y[1:40], wave_x_49 = wave_x[1:49], wave_y_49 = wave_y[1:49],
  whole_x = round(wave_x), whole_y = round(wave_y), two_x = c(4.1, 5.3), two_y = c(1.2, 2.9), three_x = c(4.1, 5.3, 4.6),
  three_y = c(1.2, 2.9, 2.2), passed_x = passed_x, passed_y = passed_y, large_x = wave_x * 1e60,
  large_y = wave_y * 1e60
)

cases <- list()
add <- function(subject, arguments, x, y, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    subject = unbox(subject), call = unbox(call), arguments = lapply(arguments, unbox),
    x = unbox(x), y = unbox(y), expected = lapply(expected, unbox), tolerance = unbox(tolerance)
  )
}
bounded <- function(estimate, bounds) list(estimate = estimate, low = bounds[[1]], high = bounds[[2]])

# ------------------------------------------------------------------------------------------------------ standardised

# effectsize's own bounds are found by optim(): they agree to five digits, those solved for here to eight.
ncp_bounds <- function(t, df, level = 0.95) {
  sapply(0.5 + c(1, -1) * level / 2, function(p)
    uniroot(function(ncp) suppressWarnings(pt(t, df, ncp)) - p, t + c(-1, 1) * (8 + 0.9 * abs(t)), extendInt = "downX",
            tol = 1e-13)$root)
}
for (pair in list(c("short", "long"), c("dextro", "laevo"), c("wave_x", "wave_y"), c("counts_x", "counts_y"),
                  c("passed_x", "passed_y"), c("two_x", "two_y"), c("two_x", "long"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  d <- cohens_d(x, y, pooled_sd = TRUE)
  add("cohens_d", list(paired = FALSE), pair[1], pair[2], "effectsize::cohens_d(x, y)",
      bounded(d$Cohens_d, c(d$CI_low, d$CI_high)), tolerance = 1e-4)
  df <- length(x) + length(y) - 2
  s <- sqrt(((length(x) - 1) * var(x) + (length(y) - 1) * var(y)) / df)
  factor <- sqrt(1 / length(x) + 1 / length(y))
  for (level in c(0.8, 0.95, 0.99))
    add("cohens_d", list(paired = FALSE, confidence = level), pair[1], pair[2],
        "d; sqrt(1/n1 + 1/n2) * (ncp with pt(t, df, ncp) of both tails)",
        bounded((mean(x) - mean(y)) / s, factor * ncp_bounds((mean(x) - mean(y)) / (s * factor), df, level)),
        tolerance = 1e-8)
}
for (pair in list(c("dextro", "laevo"), c("wave_x", "wave_y"), c("counts_x", "counts_y"), c("passed_x", "passed_y"),
                  c("two_x", "two_y"), c("tied_x", "tied_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  n <- length(x)
  d <- suppressMessages(cohens_d(x, y, paired = TRUE))
  add("cohens_dz", list(paired = TRUE), pair[1], pair[2], "effectsize::cohens_d(x, y, paired = TRUE)",
      bounded(d$Cohens_d, c(d$CI_low, d$CI_high)), tolerance = 1e-4)
  t <- mean(x - y) / sd(x - y) * sqrt(n)
  for (level in c(0.8, 0.95)) {
    ncp <- ncp_bounds(t, n - 1, level)
    add("cohens_dz", list(paired = TRUE, confidence = level), pair[1], pair[2],
        "mean(x - y)/sd(x - y); (ncp with pt(t, n - 1, ncp) of both tails)/sqrt(n)",
        bounded(t / sqrt(n), ncp / sqrt(n)), tolerance = 1e-8)
    s <- sqrt((var(x) + var(y)) / 2)
    add("cohens_d", list(paired = TRUE, confidence = level), pair[1], pair[2],
        "mean(x - y)/s; sd(x - y)/sqrt(n)/s * (ncp with pt(t, n - 1, ncp) of both tails)",
        bounded(mean(x - y) / s, sd(x - y) / sqrt(n) / s * ncp), tolerance = 1e-8)
  }
}

# -------------------------------------------------------------------------------------------------------- dominances

for (pair in list(c("short", "long"), c("dextro", "laevo"), c("counts_x", "counts_y"), c("passed_x", "passed_y"),
                  c("wave_x", "wave_y_40"), c("far", "short"), c("two_x", "two_y"), c("two_x", "long"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  n <- length(x); m <- length(y)
  z <- qnorm(0.975)
  dominance <- sign(outer(x, y, "-"))
  delta <- mean(dominance)
  p <- suppressWarnings(p_superiority(x, y, parametric = FALSE))$p_superiority
  stopifnot(all.equal(p, (1 + delta) / 2))
  if (abs(delta) == 1) {
    bounds <- c((min(n, m) - z^2) / (min(n, m) + z^2), 1)
    if (delta < 0) bounds <- -rev(bounds)
  } else {
    v <- ((m - 1) * var(rowMeans(dominance)) + (n - 1) * var(colMeans(dominance)) +
            sum((dominance - delta)^2) / ((n - 1) * (m - 1))) / (n * m)
    bounds <- (delta - delta^3 + c(-1, 1) * z * sqrt(v) * sqrt((1 - delta^2)^2 + z^2 * v)) / (1 - delta^2 + z^2 * v)
  }
  add("superiority", list(paired = FALSE), pair[1], pair[2],
      "effectsize::p_superiority(x, y, parametric = FALSE); (1 + Feng and Cliff's bounds of delta)/2",
      bounded(p, (1 + bounds) / 2))
}
for (pair in list(c("counts_x", "counts_y"), c("passed_x", "passed_y"), c("wave_x", "wave_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  add("superiority", list(paired = TRUE), pair[1], pair[2], "mean(x > y) + mean(x == y)/2",
      list(estimate = mean(x > y) + mean(x == y) / 2))
}

# --------------------------------------------------------------------------------------------------------- locations

# wilcox.test searches for the bounds and the estimate of its normal approximation: here to 1e-11. Its estimate lies
# anywhere between the two middle averages where their number is even, so it is told apart there.
shift_cases <- function(x_name, y_name, paired, levels = c(0.8, 0.95, 0.99)) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  for (level in levels) {
    r <- suppressWarnings(wilcox.test(x, y, paired = paired, conf.int = TRUE, conf.level = level, tol.root = 1e-13))
    d <- if (paired) (x - y)[x != y]
    sums <- if (paired) outer(d, d, "+")[!lower.tri(diag(length(d)))] / 2 else c(outer(x, y, "-"))
    half <- sort(sums)[c(floor((length(sums) + 1) / 2), floor(length(sums) / 2) + 1)]
    stopifnot(r$estimate >= half[1] - 1e-9, r$estimate <= half[2] + 1e-9)
    expected <- bounded(median(sums), r$conf.int)
    reached <- attr(r$conf.int, "conf.level")
    unreached <- abs(reached - level) > 1e-6
    if (!unreached) expected$confidence <- level
    add("hodges_lehmann", list(paired = paired, confidence = level), x_name, y_name,
        sprintf("wilcox.test(x, y, paired = %s, conf.int = TRUE, conf.level = %g, tol.root = 1e-13)", paired, level),
        expected, tolerance = if (max(abs(x)) > 1e100) 1e-6 else 1e-9)
  }
}
shift_cases("wave_x_9", "wave_y_9", TRUE)
shift_cases("wave_x_49", "wave_y_49", TRUE) # the largest that is exact
shift_cases("wave_x", "wave_y", TRUE)
shift_cases("counts_x", "counts_y", TRUE, c(0.8, 0.95)) # ties and zeros
shift_cases("dextro", "laevo", TRUE, 0.95)
shift_cases("whole_x", "whole_y", TRUE)
shift_cases("tied_x", "tied_y", TRUE, c(0.5, 0.8)) # few pairs with ties
shift_cases("two_x", "two_y", TRUE, c(0.5, 0.95))
shift_cases("three_x", "three_y", TRUE, c(0.5, 0.95))
shift_cases("short", "long", FALSE)
shift_cases("far", "short", FALSE)
shift_cases("wave_x", "wave_y_40", FALSE)
shift_cases("wave_x_49", "wave_y_40", FALSE)
shift_cases("counts_x", "counts_y", FALSE)
shift_cases("whole_x", "whole_y", FALSE)
shift_cases("tied_x", "tied_y", FALSE)
shift_cases("two_x", "two_y", FALSE, c(0.5, 0.95))
shift_cases("two_x", "long", FALSE)

for (pair in list(c("wave_x_9", "wave_y_9"), c("counts_x", "counts_y"), c("wave_x", "wave_y"), c("two_x", "two_y"),
                  c("tied_x", "tied_y"))) {
  d <- sort(arms[[pair[1]]] - arms[[pair[2]]])
  for (level in c(0.8, 0.95, 0.99)) {
    k <- max(1, qbinom((1 - level) / 2, length(d), 0.5))
    add("median_difference", list(paired = TRUE, confidence = level), pair[1], pair[2],
        "median(x - y); sort(x - y)[c(k, n + 1 - k)] for k = max(1, qbinom((1 - level)/2, n, 0.5))",
        c(bounded(median(d), d[c(k, length(d) + 1 - k)]),
          list(confidence = min(level, 1 - 2 * pbinom(0, length(d), 0.5)))))
  }
}
for (pair in list(c("short", "long"), c("counts_x", "counts_y"), c("wave_x", "wave_y_40"), c("two_x", "two_y"),
                  c("two_x", "long"), c("far", "short"), c("dextro", "laevo"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  error <- function(v) {
    k <- max(1, round((length(v) + 1) / 2 - sqrt(length(v))))
    (sort(v)[length(v) - k + 1] - sort(v)[k]) / (2 * qnorm(pbinom(k - 1, length(v), 0.5), lower.tail = FALSE))
  }
  for (level in c(0.8, 0.95))
    add("median_difference", list(paired = FALSE, confidence = level), pair[1], pair[2],
        "median(x) - median(y) + c(-1, 1) * z * sqrt(e(x)^2 + e(y)^2), e of Price and Bonett (2002)",
        bounded(median(x) - median(y), median(x) - median(y) +
                  c(-1, 1) * qnorm(0.5 + level / 2) * sqrt(error(x)^2 + error(y)^2)))
}

for (pair in list(c("counts_x", "counts_y"), c("wave_x", "wave_y"), c("two_x", "two_y"), c("tied_x", "tied_y"),
                  c("short", "long"), c("far", "short"), c("wave_x", "wave_y_40"), c("large_x", "wave_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  n <- length(x); m <- length(y)
  r <- mean(x) / mean(y)
  for (paired in if (n == m) c(TRUE, FALSE) else FALSE) for (level in c(0.8, 0.95)) {
    a <- var(x) / n; b <- var(y) / m; c <- if (paired) cov(x, y) / n else 0
    df <- if (paired) n - 1 else (a + r^2 * b)^2 / (a^2 / (n - 1) + r^4 * b^2 / (m - 1))
    t2 <- qt(0.5 + level / 2, df)^2
    if (mean(y)^2 <= t2 * b) next
    # (mean(x) - q mean(y))^2 = t2 (a - 2 q c + q^2 b)
    A <- mean(y)^2 - t2 * b; B <- mean(x) * mean(y) - t2 * c; C <- mean(x)^2 - t2 * a
    add("ratio_of_means", list(paired = paired, confidence = level), pair[1], pair[2],
        "the roots of (mean(x) - q mean(y))^2 = t^2 (var(x)/n - 2 q cov + q^2 var(y)/m)",
        bounded(r, (B + c(-1, 1) * sqrt(B^2 - A * C)) / A))
  }
}
iqm <- function(v) mean(v, trim = 0.25)
for (pair in list(c("counts_x", "counts_y"), c("wave_x", "wave_y_40"), c("two_x", "two_y"), c("tied_x", "tied_y"),
                  c("short", "long"), c("far", "short"), c("passed_x", "passed_y"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  for (paired in if (length(x) == length(y)) c(TRUE, FALSE) else FALSE)
    add("iqm_difference", list(paired = paired), pair[1], pair[2], "mean(x, trim = 0.25) - mean(y, trim = 0.25)",
        list(estimate = iqm(x) - iqm(y)))
}

# -------------------------------------------------------------------------------------------------------- bootstraps

# Given the same resamples the numbers are the same: each case has them, counted from 0, as the rows of one table.
norm_inter <- function(t, alpha) suppressWarnings(boot:::norm.inter(t, alpha)[, 2])
bca <- function(t, t0, L, level) {
  w <- qnorm((mean(t < t0 - 1e-12) + mean(t <= t0 + 1e-12)) / 2) # ties count half
  z <- qnorm(c(1 - level, 1 + level) / 2)
  a <- sum(L^3) / (6 * sum(L^2)^1.5)
  norm_inter(t, pnorm(w + (w + z) / (1 - a * (w + z))))
}
statistics <- list(
  mean = function(x, y) mean(x) - mean(y), ratio = function(x, y) mean(x) / mean(y),
  iqm = function(x, y) iqm(x) - iqm(y), spread = function(x, y) log(var(x) / var(y))
)
resampled <- list()
bootstrap_case <- function(name, x_name, y_name, paired, R) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  n <- length(x); m <- length(y)
  f <- statistics[[name]]
  data <- if (paired) seq_len(n) else seq_len(n + m)
  strata <- if (paired) rep(1, n) else rep(1:2, c(n, m))
  picked <- function(i) if (paired) list(x[i], y[i]) else list(x[i[i <= n]], y[i[i > n] - n])
  # The mean difference and its squared error, as boot.ci's type = "stud" takes them.
  errors <- function(v) if (paired) var(v[[1]] - v[[2]]) / n else var(v[[1]]) / n + var(v[[2]]) / m
  statistic <- function(d, i) {
    v <- picked(d[i])
    c(f(v[[1]], v[[2]]), if (name == "mean") errors(v))
  }
  b <- boot(data, statistic, R, strata = strata)
  sizes <- if (paired) 1 else ifelse(strata == 1, n, m)
  L <- empinf(data = data, statistic = function(d, i) statistic(d, i)[1], stype = "i", type = "jack", strata = strata)
  t <- b$t[, 1]
  for (level in c(0.8, 0.95)) {
    expected <- list(estimate = unbox(b$t0[1]), percentile = norm_inter(t, c(1 - level, 1 + level) / 2),
                     bca = bca(t, b$t0[1], L / sizes, level))
    r <- suppressWarnings(boot.ci(b, conf = level, type = c("perc", "bca"), L = L / sizes, index = 1))
    stopifnot(all.equal(expected$percentile, r$percent[4:5]))
    if (!any(abs(t - b$t0[1]) < 1e-12)) stopifnot(all.equal(expected$bca, r$bca[4:5]))
    if (name == "mean") {
      z <- (t - b$t0[1]) / sqrt(b$t[, 2])
      k <- round((R + 1) * (1 - level) / 2)
      expected$studentised <- b$t0[1] - sort(z)[c(R + 1 - k, k)] * sqrt(b$t0[2])
      r <- suppressWarnings(boot.ci(b, conf = level, type = "stud", index = 1:2))
      stopifnot(all.equal(expected$studentised, r$student[4:5]))
      expected$greater <- unbox((1 + sum(z >= b$t0[1] / sqrt(b$t0[2]))) / (R + 1))
      expected$less <- unbox((1 + sum(z <= b$t0[1] / sqrt(b$t0[2]))) / (R + 1))
    }
    resampled[[length(resampled) + 1]] <<- list(
      statistic = unbox(name), x = unbox(x_name), y = unbox(y_name), paired = unbox(paired), confidence = unbox(level),
      call = unbox("boot::boot.ci(boot(...), type = c('perc', 'bca', 'stud'), L = empinf(type = 'jack'))"),
      indices = unbox(length(tables)), expected = expected, tolerance = unbox(1e-9)
    )
  }
  tables[[length(tables) + 1]] <<- boot.array(b, indices = TRUE) - 1
}
tables <- list()
set.seed(5)
bootstrap_case("mean", "dextro", "laevo", TRUE, 199)
bootstrap_case("mean", "counts_x", "counts_y", FALSE, 199) # resamples that equal the estimate
bootstrap_case("mean", "short", "long", FALSE, 199)
bootstrap_case("ratio", "counts_x", "counts_y", TRUE, 199)
bootstrap_case("ratio", "far", "short", FALSE, 199)
bootstrap_case("iqm", "counts_x", "counts_y", FALSE, 99)
bootstrap_case("spread", "wave_x_9", "wave_y_9", TRUE, 99)
bootstrap_case("mean", "passed_x", "passed_y", TRUE, 199)
bootstrap_case("iqm", "wave_x_9", "wave_y_9", TRUE, 99)
bootstrap_case("iqm", "short", "long", FALSE, 99)
bootstrap_case("iqm", "dextro", "laevo", TRUE, 199)
bootstrap_case("iqm", "tied_x", "tied_y", FALSE, 199)

json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
version_of <- function(package) unbox(as.character(packageVersion(package)))
origin <- list(
  script = unbox("effects.R"), command = unbox("Rscript effects.R > effects.json"), R = unbox(R.version.string),
  jsonlite = version_of("jsonlite"), effectsize = version_of("effectsize"), boot = version_of("boot"),
  tolerance = unbox("relative, for each expected number")
)
cat(sprintf(
  paste0('{\n  "origin": %s,\n  "arms": {\n%s\n  },\n  "cases": [\n%s\n  ],\n  "resamples": [\n%s\n  ],\n',
         '  "resampled": [\n%s\n  ]\n}\n'),
  json(origin), lines(sprintf('"%s": %s', names(arms), sapply(arms, json))), lines(sapply(cases, json)),
  lines(sapply(tables, json)), lines(sapply(resampled, json))
))
