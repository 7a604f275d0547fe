#!/bin/sh
# An agent for 1-1 as the one in mario_world_model/pretrained was made, from an empty folder: explore, learn to see, then rounds
# of M, C and C's own episodes. Twenty minutes of a large GPU with `gpu`, an evening of two cores with `default`.
# That agent itself began with five rounds on a GPU and went on with five on two cores; docs/log.md has its sizes and times.
set -eu
preset=${1:-default}
out=${2:-recipe}

mario-world-model run --preset "$preset" --seed 0 --output "$out"

mario-world-model ship --vae "$out/vae_mario.pt" --mdnrnn "$out/mdn_rnn_mario.pt" --controller "$out/controller_mario.pt" \
    --output "$out/shipped"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --episodes 100 --max-steps 600 --seed 9000000 --output "$out/agent.json"
mario-world-model evaluate --policy uniform --episodes 100 --max-steps 600 --seed 9000000 --output "$out/uniform.json"
