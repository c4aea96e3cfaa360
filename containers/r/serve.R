# Serves one model to r_container.py, as a program of its own: a line of JSON with the inputs comes in,
# a line of JSON with the outputs goes out. Arguments: the model, how it is asked, and the descriptors
# of both. What the model prints is no part of that.
suppressPackageStartupMessages(library(jsonlite))

given <- commandArgs(trailingOnly = TRUE)
questions <- file(paste0("/dev/fd/", given[3]), open = "r", encoding = "UTF-8", raw = TRUE)
answers <- file(paste0("/dev/fd/", given[4]), open = "w", encoding = "UTF-8", raw = TRUE)

say <- function(...) {
  writeLines(paste0(...), answers)
  flush(answers)
}
quoted <- function(text) toJSON(enc2utf8(as.character(text)), auto_unbox = TRUE, na = "null")
failed <- function(error) say('{"error": ', quoted(conditionMessage(error)), "}")

# Numbers with all of their digits, which toJSON cuts to 15.
written <- function(values) {
  if (is.numeric(values)) {
    texts <- sprintf(if (is.integer(values)) "%d" else "%.17g", values)
    return(ifelse(is.finite(values), texts, '"NaN"'))
  }
  if (is.logical(values)) return(ifelse(is.na(values), "null", tolower(values)))
  vapply(as.character(values), quoted, "")
}

# One JSON value for each row of whatever `predict` has returned.
rows_of <- function(outputs) {
  if (is.data.frame(outputs)) outputs <- as.matrix(outputs)
  if (is.null(dim(outputs))) return(written(outputs))
  texts <- matrix(written(as.vector(outputs)), nrow = nrow(outputs))
  paste0("[", apply(texts, 1, paste, collapse = ","), "]")
}

# A model's class often has the name of the package that knows how it predicts.
read_model <- function(path) {
  model <- readRDS(path)
  for (package in class(model)) suppressWarnings(requireNamespace(package, quietly = TRUE))
  model
}

# The names of what it was fitted to; none where it does not say.
names_of <- function(model) {
  tryCatch(all.vars(delete.response(terms(model))), error = function(error) character())
}

# Records become a table as they are; the numbers of arrays get the model's own names.
table_of <- function(inputs) {
  if (is.data.frame(inputs)) return(inputs)
  columns <- as.data.frame(inputs)
  if (length(fitted_to) > 0) {
    if (ncol(columns) != length(fitted_to))
      stop("an input has ", ncol(columns), " numbers; send ", length(fitted_to), ": ", toString(fitted_to))
    names(columns) <- fitted_to
  }
  columns
}

answer <- function(line) {
  columns <- table_of(fromJSON(line))
  outputs <- if (nzchar(given[2])) predict(model, columns, type = given[2]) else predict(model, columns)
  say('{"outputs": [', paste(rows_of(outputs), collapse = ","), "]}")
}

model <- tryCatch(read_model(given[1]), error = function(error) {
  failed(error)
  quit(status = 1)
})
fitted_to <- names_of(model)
about <- paste0("R ", getRversion(), ", ", class(model)[1])
say('{"about": ', quoted(about), ', "names": ', toJSON(fitted_to), "}")
while (length(line <- readLines(questions, 1)) > 0) tryCatch(answer(line), error = failed)
