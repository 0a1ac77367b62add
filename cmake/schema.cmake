# Runs tools/schemagen.py: schema/**/*.api and src/**/*.view become build/gen. Its outputs are
# listed by the generator itself (--list), so CMake and it cannot disagree.
