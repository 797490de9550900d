# Golden numbers for the tests of shares, signs, spreads, quantiles and permutations of workflow_assets.stats.
#
#   Rscript contrasts.R > contrasts.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-car r-cran-coin
#
# Every case states the R call that made it. Where no package offers a method, the formula is written out here once
# more, independently: by a cubic in closed form where ours takes Newton's steps, by all divisions where ours draws.
# A two-sided p is twice the smaller side, at most 1, as our convention is; one-sided numbers are R's own.

suppressPackageStartupMessages({
  library(jsonlite)
  library(car)
  library(coin)
})

repeated <- function(ones, n) c(rep(1, ones), rep(0, n - ones))
waves <- function(n, k) round(10 + 2 * sin(k * (1:n)) + (1:n) / 100, 4)
arms <- list(
  short = c(2.31, 1.84, 3.02, 2.77), long = c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74),
  two = c(0.3, 1.1), two_more = c(0.4, 0.7), constant = c(1.5, 1.5, 1.5),
  accuracy = c(0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931),
  baseline = c(0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916),
  counts_x = c(14, 9, 17, 12, 20, 8, 15, 11, 13, 16), counts_y = c(11, 10, 12, 12, 15, 9, 9, 11, 14, 10),
  tenths_x = c(0.1, 0.2, 0.3, 0.3, 0, 0.7, 0.1, 0), tenths_y = c(0, 0.2, 0.1, 0.4, 0, 0, 0.3, 0.1),
  far = 1000 + c(0.2, 0.9, 0.4, 0.1, 0.6, 0.3), wave_x = waves(60, 1), wave_y = waves(60, 3.7), wave_z = waves(41, 2.1),
  shifted = waves(60, 1) + 5, passed_x = c(1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1),
  passed_y = c(0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1), none_18 = repeated(0, 18), all_18 = repeated(18, 18),
  all_40 = repeated(40, 40), ones_3_of_40 = repeated(3, 40), ones_95_of_120 = repeated(95, 120),
  ones_40_of_120 = repeated(40, 120), ones_600_of_1000 = repeated(600, 1000), ones_200_of_1000 = rev(repeated(200, 1000)),
  coin_2 = c(1, 0), coin_2_more = c(0, 1), half_18 = rep(0.5, 18), tenth_40 = rep(0.1, 40), third_120 = rep(0.3, 120)
)

cases <- list()
add <- function(subject, arguments, x, y, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    subject = unbox(subject), call = unbox(call), arguments = lapply(arguments, unbox),
    x = unbox(x), y = unbox(y), expected = lapply(expected, unbox), tolerance = unbox(tolerance)
  )
}
# p of each claim, made of `upper(mu)` and `lower(mu)`: the one-sided p that x - y lies above, or below, mu. Floating
# point ends at 2.2e-308, and so do our p-values.
sided <- function(subject, x, y, call, upper, lower, statistic, margins = numeric(0), more = list(), tolerance = 1e-9) {
  least <- function(p) max(p, .Machine$double.xmin)
  put <- function(alternative, margin, p, of = NULL) {
    expected <- list(p = min(1, least(p)))
    if (!is.null(of)) expected$statistic <- of
    add(subject, c(list(alternative = alternative, margin = margin), more), x, y, call, expected, tolerance)
  }
  for (m in unique(c(0, margins, -margins))) {
    put("greater", m, upper(m), statistic(m, "greater"))
    put("less", m, lower(-m), statistic(-m, "less"))
    if (m >= 0) put("two-sided", m, 2 * least(min(upper(m), lower(-m))))
    if (m > 0) put("equivalent", m, max(upper(-m), lower(m)))
  }
}

# -------------------------------------------------------------------------------------------------------- Student's t

for (pair in list(c("short", "long"), c("two", "two_more"), c("two", "long"), c("constant", "long"),
                  c("counts_x", "counts_y"), c("wave_x", "wave_z"), c("shifted", "wave_z"), c("far", "short"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  test <- function(mu, side) t.test(x, y, var.equal = TRUE, alternative = side, mu = mu)
  sided("student_t", pair[1], pair[2], 't.test(x, y, var.equal = TRUE, alternative = "greater", mu = margin)',
        function(mu) test(mu, "greater")$p.value, function(mu) test(mu, "less")$p.value,
        function(mu, side) test(mu, side)$statistic[[1]], c(0.25, 3))
}

# ---------------------------------------------------------------------------------------------------------- sign test

near <- function(a, b) abs(a - b) < 1e-12
for (pair in list(c("accuracy", "baseline"), c("counts_x", "counts_y"), c("tenths_x", "tenths_y"), c("two", "two_more"),
                  c("wave_x", "wave_y"), c("shifted", "wave_x"), c("passed_x", "passed_y"))) {
  d <- arms[[pair[1]]] - arms[[pair[2]]]
  above <- function(mu) sum(d > mu & !near(d, mu))
  p <- function(mu, side) {
    m <- sum(!near(d, mu))
    if (m == 0) 1 else binom.test(above(mu), m, alternative = side)$p.value
  }
  sided("sign_test", pair[1], pair[2], 'binom.test(sum(x - y > margin), sum(x - y != margin), alternative = "greater")',
        function(mu) p(mu, "greater"), function(mu) p(mu, "less"), function(mu, side) above(mu),
        if (pair[1] == "tenths_x") c(0.1) else if (pair[1] == "shifted") c(5) else c(0.01, 1))
}

# -------------------------------------------------------------------------------------------------------- permutation

for (pair in list(c("short", "long"), c("two", "two_more"), c("two", "long"), c("constant", "long"), c("long", "constant"),
                  c("tenths_x", "tenths_y"), c("far", "long"), c("far", "short"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  sums <- function(mu) {
    pooled <- c(x - mu, y)
    list(all = combn(length(pooled), length(x), function(i) sum(pooled[i])), seen = sum(x - mu))
  }
  slack <- 1e-9
  sided("permutation", pair[1], pair[2],
        "mean(sums >= sum(x - margin)) over the sums of all combn(c(x - margin, y), length(x))",
        function(mu) with(sums(mu), mean(all >= seen - slack)), function(mu) with(sums(mu), mean(all <= seen + slack)),
        function(mu, side) mean(x) - mean(y), c(0.2, 1))
}
for (pair in list(c("short", "long"), c("counts_x", "counts_y"), c("two", "long"), c("passed_x", "passed_y"),
                  c("ones_95_of_120", "all_40"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  data <- data.frame(value = c(x, y), arm = factor(rep(c("x", "y"), c(length(x), length(y))), levels = c("x", "y")))
  test <- function(side) {
    as.numeric(pvalue(oneway_test(value ~ arm, data, distribution = "exact", alternative = side)))
  }
  for (side in c("greater", "less")) {
    add("permutation", list(alternative = side, margin = 0), pair[1], pair[2],
        sprintf('coin::oneway_test(value ~ arm, distribution = "exact", alternative = "%s")', side),
        list(p = test(side), exact = TRUE))
  }
}
# Drawn, not counted: 9,999 draws have a standard error of at most 0.005.
data <- data.frame(value = round(c(arms$wave_x[1:20], arms$wave_z[1:30])), arm = factor(rep(c("x", "y"), c(20, 30))))
arms$whole_20 <- data$value[1:20]
arms$whole_30 <- data$value[21:50]
drawn <- as.numeric(pvalue(oneway_test(value ~ arm, data, distribution = "exact", alternative = "greater")))
add("permutation", list(alternative = "greater", margin = 0), "whole_20", "whole_30",
    'coin::oneway_test(value ~ arm, distribution = "exact", alternative = "greater")', list(p = drawn, exact = FALSE), 0.06)

# ------------------------------------------------------------------------------------------------- shares, no margin

for (pair in list(c("passed_x", "passed_y"), c("passed_x", "none_18"), c("all_18", "none_18"), c("all_18", "passed_y"),
                  c("all_18", "all_18"), c("coin_2", "coin_2_more"), c("ones_95_of_120", "ones_40_of_120"),
                  c("ones_600_of_1000", "ones_200_of_1000"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  b <- sum(x > y); c <- sum(x < y)
  p <- function(side) if (b + c == 0) 1 else binom.test(b, b + c, alternative = side)$p.value
  sided("mcnemar", pair[1], pair[2], 'binom.test(sum(x > y), sum(x != y), alternative = "greater")',
        function(mu) p("greater"), function(mu) p("less"), function(mu, side) b)
}
unpaired <- list(c("passed_x", "passed_y"), c("passed_x", "all_40"), c("all_18", "none_18"), c("all_18", "all_40"),
                 c("coin_2", "ones_3_of_40"), c("coin_2", "coin_2_more"), c("ones_3_of_40", "ones_95_of_120"),
                 c("ones_95_of_120", "ones_40_of_120"), c("ones_600_of_1000", "ones_200_of_1000"),
                 c("ones_600_of_1000", "passed_y"))
for (pair in unpaired) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  table <- matrix(c(sum(x), sum(1 - x), sum(y), sum(1 - y)), 2)
  p <- function(side) fisher.test(table, alternative = side, conf.int = FALSE)$p.value
  sided("fisher_exact", pair[1], pair[2], 'fisher.test(rbind(ones, zeros), alternative = "greater")',
        function(mu) p("greater"), function(mu) p("less"), function(mu, side) sum(x))
}

# ---------------------------------------------------------------------------------------- one share, fixed by the other

for (pair in list(c("passed_x", "half_18"), c("all_18", "half_18"), c("none_18", "half_18"), c("ones_3_of_40", "tenth_40"),
                  c("ones_95_of_120", "third_120"), c("coin_2", "half_18"), c("ones_600_of_1000", "third_120"))) {
  k <- sum(arms[[pair[1]]]); n <- length(arms[[pair[1]]]); share <- arms[[pair[2]]][1]
  p <- function(mu, side) binom.test(k, n, share + mu, alternative = side)$p.value
  sided("binomial", pair[1], pair[2], 'binom.test(sum(x), length(x), share + margin, alternative = "greater")',
        function(mu) p(mu, "greater"), function(mu) p(mu, "less"), function(mu, side) k, c(0.05))
  for (level in c(0.9, 0.95)) {
    bounds <- binom.test(k, n, conf.level = level)$conf.int - share
    add("share_excess", list(confidence = level), pair[1], pair[2], "binom.test(sum(x), length(x))$conf.int - share",
        list(estimate = k / n - share, low = bounds[1], high = bounds[2]))
  }
}

# ------------------------------------------------------------------------------------------------ shares with a margin

# The cubic of Farrington and Manning (1990), Statistics in Medicine 9; variance as in Miettinen and Nurminen (1985).
mn_score <- function(k, n, l, m, delta) {
  p <- k / n; q <- l / m
  if (delta == 0) {
    a <- b <- (k + l) / (n + m)
  } else {
    theta <- m / n
    A <- 1 + theta
    B <- -(1 + theta + p + theta * q + delta * (theta + 2))
    C <- delta^2 + delta * (2 * p + theta + 1) + p + theta * q
    D <- -p * delta * (1 + delta)
    v <- B^3 / (3 * A)^3 - B * C / (6 * A^2) + D / (2 * A)
    u <- (if (v > 0) 1 else -1) * sqrt(max(0, B^2 / (3 * A)^2 - C / (3 * A)))
    w <- (pi + acos(max(-1, min(1, if (u == 0) 0 else v / u^3)))) / 3
    a <- min(max(2 * u * cos(w) - B / (3 * A), 0, delta), 1, 1 + delta)
    # One step of Newton's on the cubic, for the digits that the cosine loses.
    slope <- 3 * A * a^2 + 2 * B * a + C
    if (abs(slope) > 1e-8) a <- min(max(a - (A * a^3 + B * a^2 + C * a + D) / slope, 0, delta), 1, 1 + delta)
    b <- a - delta
  }
  v <- (a * (1 - a) / n + b * (1 - b) / m) * (n + m) / (n + m - 1)
  if (v <= 0) (if (p - q == delta) 0 else sign(p - q - delta) * Inf) else (p - q - delta) / sqrt(v)
}
# Tango (1998), with his most likely share of losses by the solution of his quadratic.
tango_score <- function(b, c, n, delta) {
  A <- 2 * n; B <- -b - c + (2 * n - b + c) * delta; C <- -c * delta * (1 - delta)
  q <- (sqrt(B^2 - 4 * A * C) - B) / (2 * A)
  v <- n * (2 * q + delta * (1 - delta))
  if (v <= 0) (if (b - c == n * delta) 0 else sign(b - c - n * delta) * Inf) else (b - c - n * delta) / sqrt(v)
}
inverted <- function(score, estimate, z) {
  bound <- function(goal, ends) {
    gap <- function(delta) max(-1e6, min(1e6, score(delta) - goal))
    if (sign(gap(ends[1])) == sign(gap(ends[2]))) return(ends[abs(ends) == 1][1])
    uniroot(gap, ends, tol = 1e-15, maxiter = 10000)$root
  }
  c(if (estimate == -1) -1 else bound(z, c(-1, estimate)), if (estimate == 1) 1 else bound(-z, c(estimate, 1)))
}
score_cases <- function(pair, paired, score, estimate, alike, call) {
  above <- function(mu) if (alike && mu == 0) 1 else pnorm(score(mu), lower.tail = FALSE)
  below <- function(mu) if (alike && mu == 0) 1 else pnorm(score(mu))
  sided("score_difference", pair[1], pair[2], call, above, below, function(mu, side) score(mu), c(0.1, 0.25),
        list(paired = paired))
  for (level in c(0.9, 0.95)) {
    bounds <- inverted(score, estimate, qnorm(0.5 + level / 2))
    add("share_difference", list(paired = paired, confidence = level), pair[1], pair[2], paste(call, "= ±z, solved"),
        list(estimate = estimate, low = bounds[1], high = bounds[2]), 1e-8)
  }
}
for (pair in unpaired) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  score <- function(delta) mn_score(sum(x), length(x), sum(y), length(y), delta)
  score_cases(pair, FALSE, score, mean(x) - mean(y), length(unique(c(x, y))) == 1,
              "z of Farrington and Manning (1990) over sqrt(N/(N-1))")
}
N <- 2 * 18
z <- mn_score(sum(arms$passed_x), 18, sum(arms$passed_y), 18, 0)
test <- suppressWarnings(prop.test(c(sum(arms$passed_x), sum(arms$passed_y)), c(18, 18), correct = FALSE))
stopifnot(all.equal(z^2, test$statistic[[1]] * (N - 1) / N))
for (pair in list(c("passed_x", "passed_y"), c("passed_x", "none_18"), c("all_18", "passed_y"), c("all_18", "none_18"),
                  c("all_18", "all_18"), c("coin_2", "coin_2_more"), c("ones_600_of_1000", "ones_200_of_1000"))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  score <- function(delta) tango_score(sum(x > y), sum(x < y), length(x), delta)
  score_cases(pair, TRUE, score, mean(x - y), all(x == y), "z of Tango (1998)")
}

# ------------------------------------------------------------------------------------------------------------ spreads

t_sides <- function(subject, x, y, call, t, df, more = list()) {
  sided(subject, x, y, call, function(mu) pt(t, df, lower.tail = FALSE), function(mu) pt(t, df),
        function(mu, side) t, more = more)
}
in_pairs <- list(c("accuracy", "baseline"), c("counts_x", "counts_y"), c("tenths_x", "tenths_y"), c("wave_x", "wave_y"),
                 c("wave_y", "wave_x"), c("counts_y", "accuracy_10"))
arms$accuracy_10 <- arms$accuracy[1:10]
for (pair in in_pairs) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  r <- cor.test(x + y, x - y)
  t_sides("pitman_morgan", pair[1], pair[2], "cor.test(x + y, x - y)", r$statistic[[1]], r$parameter[[1]])
  r <- t.test(abs(x - median(x)), abs(y - median(y)), paired = TRUE)
  t_sides("brown_forsythe", pair[1], pair[2], "t.test(abs(x - median(x)), abs(y - median(y)), paired = TRUE)",
          r$statistic[[1]], r$parameter[[1]], list(paired = TRUE))
}
apart <- c(in_pairs, list(c("short", "long"), c("two", "long"), c("constant", "long"), c("far", "long"),
                          c("wave_x", "wave_z"), c("short", "wave_z")))
for (pair in apart) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  arm <- factor(rep(c("x", "y"), c(length(x), length(y))))
  r <- leveneTest(c(x, y), arm, center = median)
  sign <- if (mean(abs(x - median(x))) < mean(abs(y - median(y)))) -1 else 1
  t_sides("brown_forsythe", pair[1], pair[2], "t = ±sqrt(car::leveneTest(value, arm, center = median)$F)",
          sign * sqrt(r[1, "F value"]), r[2, "Df"], list(paired = FALSE))
}
# Bonett and Seier (2003), both papers.
for (paired in c(TRUE, FALSE)) for (pair in if (paired) in_pairs else setdiff(apart, list(c("constant", "long")))) {
  x <- arms[[pair[1]]]; y <- arms[[pair[2]]]
  mad <- function(v) mean(abs(v - median(v)))
  se2 <- function(v) (var(v) / mad(v)^2 + ((mean(v) - median(v)) / mad(v))^2 - 1) / length(v)
  variance <- se2(x) + se2(y)
  if (paired) variance <- variance - 2 * cor(abs(x - median(x)), abs(y - median(y))) * sqrt(se2(x) * se2(y))
  scale <- function(v) length(v) / (length(v) - 1)
  estimate <- log(scale(x) * mad(x) / (scale(y) * mad(y)))
  for (level in c(0.9, 0.95)) {
    reach <- qnorm(0.5 + level / 2) * sqrt(variance)
    bounds <- estimate + c(-1, 1) * reach
    call <- "log(c_x mad_x / (c_y mad_y)) -+ z * se, after Bonett and Seier (2003)"
    add("log_spread_ratio", list(paired = paired, confidence = level), pair[1], pair[2], call,
        list(estimate = estimate, low = bounds[1], high = bounds[2]))
    add("spread_ratio", list(paired = paired, confidence = level), pair[1], pair[2], call,
        list(estimate = exp(estimate), low = exp(bounds[1]), high = exp(bounds[2])))
  }
}

# ---------------------------------------------------------------------------------------------------------- quantiles

quantiles <- list()
for (name in c("long", "wave_x", "tenths_x", "two")) for (share in c(0.1, 0.5, 0.9)) {
  v <- sort(arms[[name]]); n <- length(v)
  steps <- pbeta((0:n) / n, (n + 1) * share, (n + 1) * (1 - share))
  quantiles[[length(quantiles) + 1]] <- list(arm = unbox(name), share = unbox(share),
    call = unbox("sum(diff(pbeta((0:n)/n, (n + 1) * share, (n + 1) * (1 - share))) * sort(x))"),
    expected = unbox(sum(diff(steps) * v)))
}

# One line per case, so that a changed number is a changed line.
json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
version_of <- function(package) unbox(as.character(packageVersion(package)))
origin <- list(
  script = unbox("contrasts.R"), command = unbox("Rscript contrasts.R > contrasts.json"), R = unbox(R.version.string),
  jsonlite = version_of("jsonlite"), car = version_of("car"), coin = version_of("coin"),
  tolerance = unbox("relative, for each expected number")
)
cat(sprintf(
  '{\n  "origin": %s,\n  "arms": {\n%s\n  },\n  "cases": [\n%s\n  ],\n  "quantiles": [\n%s\n  ]\n}\n', json(origin),
  lines(sprintf('"%s": %s', names(arms), sapply(arms, json))), lines(sapply(cases, json)),
  lines(sapply(quantiles, json))
))
