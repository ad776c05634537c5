"""The one table of instructions: a row each, read by decoder, validator, lowering and inspection."""
