# Golden numbers for workflow_assets.stats.families.
#
#   Rscript families.R > families.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite

suppressPackageStartupMessages(library(jsonlite))

families <- list(
  c(0.01, 0.04, 0.03, 0.005),
  c(0.5, 0.6, 0.9),
  c(0.02, 0.02, 0.001, 0.8, 0.013), # ties
  0.2,
  c(0, 1),
  c(0, 0, 0.5, 1, 1),
  c(0.05, 0.05, 0.05),
  c(0.01, 0.02, 0.03, 0.04, 0.05), # BH gives them all the same
  c(1e-300, 1e-12, 0.3),
  round((1:40 / 41)^3, 4),
  c(0.9, 0.001, 0.2, 0.2, 0.049, 0.0004, 0.7, 0.011, 0.32, 0.05, 1, 0.011)
)
procedures <- list(bonferroni = "bonferroni", holm = "holm", hochberg = "hochberg", benjamini_hochberg = "BH",
                   benjamini_yekutieli = "BY")
cases <- list()
for (procedure in names(procedures)) {
  for (p in families) {
    cases[[length(cases) + 1]] <- list(
      procedure = unbox(procedure), call = unbox(sprintf('p.adjust(p, "%s")', procedures[[procedure]])), p = p,
      adjusted = p.adjust(p, procedures[[procedure]]), tolerance = unbox(1e-12)
    )
  }
}

json <- function(value) as.character(toJSON(value, digits = I(15)))
origin <- list(
  script = unbox("families.R"), command = unbox("Rscript families.R > families.json"), R = unbox(R.version.string),
  jsonlite = unbox(as.character(packageVersion("jsonlite"))), tolerance = unbox("relative, for each number")
)
cat(sprintf('{\n  "origin": %s,\n  "families": [\n%s\n  ]\n}\n', json(origin),
            paste(sprintf("    %s", sapply(cases, json)), collapse = ",\n")))
