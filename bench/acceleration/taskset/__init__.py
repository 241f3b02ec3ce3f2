"""Task sets written from templates: many tasks of five levels, with candidates that should pass and some that should not."""
