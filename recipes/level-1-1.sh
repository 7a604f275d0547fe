#!/bin/sh
# An agent for 1-1 from an empty folder, the way of the one that comes with the package: explore, learn to see, then rounds
# of M, C and the agent's own episodes. Two to three hours of two cores with `cores`, or twenty minutes of a large GPU with `gpu`,
# and for the hundred episodes that look ahead an hour and a half more, or up to four times that on cores without bfloat16.
# docs/results.md has what came of it; on slower cores it got less far. A fourth argument is the factor of the minutes that
# V, M and C have: an update of M takes cores without bfloat16 some three times as long as those with it. With 3 it is a
# matter of a night there, and was not tried.
# The agent of the package is that of seed 2, made when evolutions had 48 dreams for a candidate, and none from where a
# controller always dies, and when M learned how steps end from the mean of its word and its ending heads'; the same
# command now gives other weights.
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
