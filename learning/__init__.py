"""From stored turns to a better adapter: data set, training, evaluation, promotion."""
