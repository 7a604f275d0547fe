#!/bin/sh
# An agent for 1-1 from an empty folder, the way of the one that comes with the package: explore, learn to see, then rounds
# of M, C and the agent's own episodes. An hour and a half of two cores with `cores`, or twenty minutes of a large GPU with `gpu`,
# and for the hundred episodes that look ahead up to four and a half hours of two cores more, by what these multiply at.
# docs/results.md has what came of it. A fourth argument is the factor of the minutes that V, M and C have, for cores that
# are slower still or for more training on the same; neither was tried.
# The agent of the package is that of seed 2 as the recipe was before: five rounds of a larger M that learned from the plain
# likelihood, and how steps end from the mean of its word and its ending heads', evolutions of 48 dreams for a candidate.
set -eu
preset=${1:-cores}
out=${2:-recipe}
seed=${3:-0}
factor=${4:-1}

mario-world-model run --preset "$preset" --seed "$seed" --time-factor "$factor" --output "$out"

mario-world-model ship --vae "$out/vae_mario.pt" --mdnrnn "$out/mdn_rnn_mario.pt" --controller "$out/controller_mario.pt" \
    --output "$out/shipped"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --lookahead 36 --episodes 100 --max-steps 1000 --seed 9000000 \
    --output "$out/agent.json"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --episodes 100 --max-steps 600 --seed 9000000 --output "$out/alone.json"
mario-world-model evaluate --policy uniform --episodes 100 --max-steps 600 --seed 9000000 --output "$out/uniform.json"
