# Golden numbers for workflow_assets.stats.sequences.
#
#   Rscript sequences.R > sequences.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite
#
# No package offers these mixtures: they are written out here once more, from their definitions as integrals, where ours
# has a closed form (t) or a fixed grid (shares); and bounds are roots by uniroot, where ours bisects or uses Newton.

suppressPackageStartupMessages(library(jsonlite))

arms <- list(
  accuracy = c(0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931),
  baseline = c(0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916),
  counts_x = c(14, 9, 17, 12, 20, 8, 15, 11, 13, 16), # ties and zeros
  counts_y = c(11, 10, 12, 12, 15, 9, 9, 11, 14, 10),
  short = c(2.31, 1.84, 3.02, 2.77, 2.5, 1.9, 2.2),
  long = c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74),
  two_x = c(3, 5), two_y = c(2, 1),
  far_x = round(1000 + sin(1:15), 3), far_y = round(cos(1:15), 3),
  shifted_x = c(31, 33, 30, 32, 38, 35, 31), shifted_y = c(1, 3, 0, 2, 8, 5, 1), # always 30
  wave_x = round(10 + 2 * sin(1:60) + (1:60) / 100, 4),
  wave_y = round(10 + 2 * cos(3 * (1:60)) + (1:60) / 130, 4),
  passed_x = c(1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1),
  passed_y = c(0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1),
  passed_long = rep(c(1, 0, 0, 1, 0), 8),
  all_x = c(1, 1, 1, 1, 1, 1, 1, 1, 1), none_y = c(0, 0, 0, 0, 0, 0, 0, 0, 1),
  flip_x = c(1, 0), flip_y = c(0, 0)
)

cases <- list()
add <- function(subject, arguments, x, y, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    subject = unbox(subject), call = unbox(call), arguments = lapply(arguments, unbox),
    x = unbox(x), y = unbox(y), expected = lapply(expected, unbox), tolerance = unbox(tolerance)
  )
}

# log of the integral of exp(f) over an interval, split where f is largest
log_integral <- function(f, lower, upper) {
  top <- optimize(f, c(lower, upper), maximum = TRUE, tol = 1e-10)
  inside <- function(v) exp(f(v) - top$objective)
  parts <- 0
  edges <- sort(unique(pmin(pmax(c(lower, top$maximum + c(-9, -3, -1, 0, 1, 3, 9) * (upper - lower) / 60, upper),
                                 lower), upper)))
  for (i in seq_len(length(edges) - 1)) {
    parts <- parts + integrate(inside, edges[i], edges[i + 1], rel.tol = 1e-12, abs.tol = 0, subdivisions = 2000,
                               stop.on.error = FALSE)$value
  }
  top$objective + log(parts)
}

# The likelihood ratio of t for a mean of delta sd to that for 0 is a mean over chi: with a = t / sqrt(t^2 + df), of
# exp(y a sqrt(n) delta - n delta^2 / 2), weighted by y^df exp(-y^2 / 2). Its mean over delta from a half-normal
# distribution is the one of exp(s^2 / 2) Phi(s) 2 / sqrt(n + 1) with s = y a sqrt(n / (n + 1)).
log_t <- function(d) {
  n <- length(d)
  if (all(d == 0)) return(0)
  if (n == 1) return(log(2 * pt(sign(d), 1)))
  a <- if (diff(range(d)) < 1e-12 * max(abs(d))) sign(d[1]) else { # a constant difference, but for rounding
    t <- mean(d) / sd(d) * sqrt(n)
    t / sqrt(t^2 + n - 1)
  }
  s <- function(y) y * a * sqrt(n / (n + 1))
  upper <- 12 + 4 * n
  up <- log_integral(function(y) (n - 1) * log(y) - y^2 / 2 + s(y)^2 / 2 + pnorm(s(y), log.p = TRUE), 1e-12, upper)
  down <- log(2) * (n / 2 - 1) + lgamma(n / 2) # of y^(n - 1) exp(-y^2 / 2)
  min(log(2) - log(n + 1) / 2 + up - down, n * log(2))
}
log_t_all <- function(d) sapply(seq_along(d), function(n) log_t(d[1:n]))

log_bet <- function(d, edge) {
  w <- sum(d == 1); k <- sum(d == 0); l <- sum(d == -1); b <- 1 + edge
  if (edge == 0) { # the mixture over the chances of a win from 1/2 to 1
    return((w + l + 1) * log(2) + lbeta(w + 1, l + 1) + pbeta(0.5, w + 1, l + 1, lower.tail = FALSE, log.p = TRUE))
  }
  log_integral(function(c) w * log(1 - c + 2 * c / b) + k * log(1 - c + c / b) + l * log(1 - c), 0, 1 - 1e-14)
}
log_bet_all <- function(d, edge) sapply(seq_along(d), function(n) log_bet(d[1:n], edge))

p_of <- function(log_e) exp(-max(0, log_e))
sides_of <- function(m) list(
  list("greater", 0), list("less", 0), list("two-sided", 0), list("greater", m), list("greater", -m),
  list("less", m), list("less", -m), list("two-sided", m), list("equivalent", m)
)
combined <- function(alternative, margin, one_sided) {
  switch(alternative,
    greater = one_sided(1, margin), less = one_sided(-1, margin),
    "two-sided" = min(1, 2 * min(one_sided(1, margin), one_sided(-1, margin))),
    equivalent = max(one_sided(1, -margin), one_sided(-1, -margin))
  )
}

sequential <- function(subject, x_name, y_name, paired, margin) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  k <- min(length(x), length(y))
  d <- zapsmall(x[1:k] - y[1:k], 12)
  evidence <- function(direction, edge) {
    if (subject == "sequential_t") log_t_all(zapsmall(direction * d - edge, 12)) else log_bet_all(direction * d, edge)
  }
  for (side in sides_of(margin)) {
    p <- combined(side[[1]], side[[2]], function(direction, edge) p_of(evidence(direction, edge)))
    add(subject, list(alternative = side[[1]], margin = side[[2]], paired = paired), x_name, y_name,
        "1 / the largest mixture so far, by integrate", list(statistic = mean(d), p = p))
  }
}
sequential("sequential_t", "accuracy", "baseline", TRUE, 0.005)
sequential("sequential_t", "counts_x", "counts_y", TRUE, 1)
sequential("sequential_t", "short", "long", FALSE, 0.5)
sequential("sequential_t", "two_x", "two_y", TRUE, 0.5)
sequential("sequential_t", "far_x", "far_y", TRUE, 999)
sequential("sequential_t", "shifted_x", "shifted_y", TRUE, 29.5)
sequential("sequential_t", "wave_x", "wave_y", TRUE, 0.35)
sequential("sequential_shares", "passed_x", "passed_y", TRUE, 0.1)
sequential("sequential_shares", "passed_x", "passed_long", FALSE, 0.25)
sequential("sequential_shares", "all_x", "none_y", TRUE, 0.5)
sequential("sequential_shares", "flip_x", "flip_y", TRUE, 0.9)

bound <- function(log_e, refuted, held, level) {
  f <- function(edge) log_e(edge) + log(level)
  if (f(refuted) < 0) return(refuted)
  uniroot(f, c(refuted, held), tol = 1e-15, maxiter = 10000)$root
}
bounds <- function(subject, x_name, y_name, paired) {
  x <- arms[[x_name]]; y <- arms[[y_name]]
  k <- min(length(x), length(y))
  d <- x[1:k] - y[1:k]
  for (confidence in c(0.8, 0.95)) {
    level <- (1 - confidence) / 2
    if (subject == "sequential_mean_difference") {
      far <- 1000 * sd(d)
      low <- bound(function(m) log_t(d - m), mean(d) - far, mean(d), level)
      high <- bound(function(m) log_t(m - d), mean(d) + far, mean(d), level)
    } else {
      low <- bound(function(m) log_bet(d, m), -1 + 1e-9, mean(d), level)
      high <- -bound(function(m) log_bet(-d, m), -1 + 1e-9, mean(-d), level)
    }
    add(subject, list(paired = paired, confidence = confidence), x_name, y_name,
        "where the mixture is 2 / (1 - confidence), by uniroot", list(estimate = mean(d), low = low, high = high),
        tolerance = 1e-8)
  }
}
bounds("sequential_mean_difference", "accuracy", "baseline", TRUE)
bounds("sequential_mean_difference", "counts_x", "counts_y", TRUE)
bounds("sequential_mean_difference", "short", "long", FALSE)
bounds("sequential_mean_difference", "far_x", "far_y", TRUE)
bounds("sequential_mean_difference", "wave_x", "wave_y", TRUE)
bounds("sequential_share_difference", "passed_x", "passed_y", TRUE)
bounds("sequential_share_difference", "passed_x", "passed_long", FALSE)
bounds("sequential_share_difference", "all_x", "none_y", TRUE)

json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
origin <- list(
  script = unbox("sequences.R"), command = unbox("Rscript sequences.R > sequences.json"), R = unbox(R.version.string),
  jsonlite = unbox(as.character(packageVersion("jsonlite"))), tolerance = unbox("relative, for each expected number")
)
cat(sprintf('{\n  "origin": %s,\n  "arms": {\n%s\n  },\n  "cases": [\n%s\n  ]\n}\n', json(origin),
            lines(sprintf('"%s": %s', names(arms), sapply(arms, json))), lines(sapply(cases, json))))
