"""Training of the network that finds an object without tags: pictures, recipe, judgement."""
