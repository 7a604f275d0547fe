#!/bin/sh
# The agent in mario_world_model/pretrained, from an empty folder: about half an hour on two cores.
# V and M are trained for a time, not for a number of updates: another machine makes others.
set -eu
out=${1:-recipe}
mkdir -p "$out"
mario-world-model collect --policy explore --episodes 2000 --max-steps 150 --seed 0 --output "$out/rollouts"
mario-world-model train-vae --dataset "$out/rollouts" --latent-size 128 --colour-rarity 0.6 --learning-rate 2e-3 \
    --epochs 1000 --max-minutes 13 --output "$out/vae_mario.pt" --logs "$out/logs"
mario-world-model train-mdn-rnn --dataset "$out/rollouts" --vae "$out/vae_mario.pt" --hidden-size 256 \
    --sequence-length 32 --open-loop 16 --batch-size 64 --learning-rate 2e-3 --starts 2048 \
    --epochs 100000 --max-minutes 11 --output "$out/mdn_rnn_mario.pt" --logs "$out/logs"
mario-world-model train-controller --vae "$out/vae_mario.pt" --mdnrnn "$out/mdn_rnn_mario.pt" --logit-bound 3 --horizon 24 \
    --starts-per-candidate 32 --iterations 204 --output "$out/controller_mario.pt" --logs "$out/logs"
mario-world-model ship --vae "$out/vae_mario.pt" --mdnrnn "$out/mdn_rnn_mario.pt" \
    --controller "$out/controller_mario.pt" --output "$out/shipped"
mario-world-model evaluate --vae "$out/shipped/vae_mario.pt" --mdnrnn "$out/shipped/mdn_rnn_mario.pt" \
    --controller "$out/shipped/controller_mario.pt" --episodes 100 --max-steps 600 --seed 9000000 --output "$out/agent.json"
mario-world-model evaluate --policy uniform --episodes 100 --max-steps 600 --seed 9000000 --output "$out/uniform.json"
