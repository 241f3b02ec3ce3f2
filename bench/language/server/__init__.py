"""Language models behind a server with OpenAI's completions API."""
