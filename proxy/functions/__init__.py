"""The function host: runs functions as Lambda does, each environment a process with a Runtime API of its own."""
