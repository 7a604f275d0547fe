#!/bin/sh
# The agent in mario_world_model/pretrained, from an empty folder: half an hour on two cores.
# V, M and C are trained for a time, not for a number of updates: another machine makes others. V had no map of enemies yet, and
# was taught heights as the RAM has them, a frame ahead of the picture; the code that taught it that is gone.
set -eu
out=${1:-recipe}
mkdir -p "$out"
vae=$out/vae_mario.pt mdnrnn=$out/mdn_rnn_mario.pt controller=$out/controller_mario.pt

# Explore the level, and learn to see.
mario-world-model collect --policy explore --episodes 3000 --max-steps 150 --seed 0 --output "$out/rollouts"
mario-world-model train-vae --dataset "$out/rollouts" --no-enemy-map --latent-size 80 --batch-size 32 --learning-rate 1.5e-3 \
    --epochs 1000 --max-minutes 7.5 --output "$vae" --logs "$out/logs"

# Learn what follows what, and evolve in that.
mario-world-model train-mdn-rnn --dataset "$out/rollouts" --vae "$vae" --batch-size 16 --learning-rate 1.5e-3 --starts 2048 \
    --open-loop 0 --epochs 100000 --max-minutes 10 --output "$mdnrnn" --logs "$out/logs"
mario-world-model train-controller --vae "$vae" --mdnrnn "$mdnrnn" --sees landmarks --sigma 0.1 --population-size 96 \
    --starts-per-candidate 16 --iterations 100000 --max-minutes 8 --output "$controller" --logs "$out/logs"

mario-world-model ship --vae "$vae" --mdnrnn "$mdnrnn" --controller "$controller" --output "$out/shipped"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --episodes 100 --max-steps 600 --seed 9000000 --output "$out/agent.json"
mario-world-model evaluate --policy uniform --episodes 100 --max-steps 600 --seed 9000000 --output "$out/uniform.json"
