#!/bin/sh
# The agent in mario_world_model/pretrained, from an empty folder: about an hour and a half on two cores.
# V and M are trained for a time, not for a number of updates: another machine makes others.
set -eu
out=${1:-recipe}
mkdir -p "$out"
vae=$out/vae_mario.pt

# Explore the level, and learn to see.
mario-world-model collect --policy explore --episodes 3000 --max-steps 150 --seed 0 --output "$out/rollouts"
mario-world-model train-vae --dataset "$out/rollouts" --latent-size 128 --colour-rarity 0.6 --learning-rate 2e-3 \
    --epochs 1000 --max-minutes 13 --output "$vae" --logs "$out/logs"

train_mdn_rnn() { mario-world-model train-mdn-rnn --vae "$vae" --starts 2048 --epochs 100000 --logs "$out/logs" "$@"; }
evolve() { mario-world-model train-controller --vae "$vae" --starts-per-candidate 16 --logs "$out/logs" "$@"; }

# Learn what follows what: first from the truth, then through noise.
train_mdn_rnn --dataset "$out/rollouts" --open-loop 0 --input-noise 0 --max-minutes 9 --output "$out/mdn_rnn_1.pt"
evolve --mdnrnn "$out/mdn_rnn_1.pt" --death-cost 0 --iterations 45 --output "$out/controller_1.pt"
train_mdn_rnn --dataset "$out/rollouts" --init "$out/mdn_rnn_1.pt" --open-loop 0 --max-minutes 25 --output "$out/mdn_rnn_2.pt"
evolve --mdnrnn "$out/mdn_rnn_2.pt" --init "$out/controller_1.pt" --death-cost 0 --iterations 342 --output "$out/controller_2.pt"

# Play, and learn from what went wrong.
mario-world-model collect --policy "$out/controller_1.pt" --vae "$vae" --mdnrnn "$out/mdn_rnn_1.pt" --episodes 160 \
    --max-steps 300 --seed 77 --append --output "$out/rollouts"
train_mdn_rnn --dataset "$out/rollouts" --init "$out/mdn_rnn_2.pt" --newest 160 --learning-rate 1e-3 --max-minutes 12 \
    --output "$out/mdn_rnn_mario.pt"
evolve --mdnrnn "$out/mdn_rnn_mario.pt" --init "$out/controller_2.pt" --population-size 256 --starts-per-candidate 6 \
    --iterations 191 --output "$out/controller_3.pt"
evolve --mdnrnn "$out/mdn_rnn_mario.pt" --init "$out/controller_3.pt" --population-size 384 --starts-per-candidate 4 \
    --sigma 0.08 --iterations 304 --output "$out/controller_mario.pt"

mario-world-model ship --vae "$vae" --mdnrnn "$out/mdn_rnn_mario.pt" --controller "$out/controller_mario.pt" \
    --output "$out/shipped"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --episodes 100 --max-steps 600 --seed 9000000 --output "$out/agent.json"
mario-world-model evaluate --policy uniform --episodes 100 --max-steps 600 --seed 9000000 --output "$out/uniform.json"
