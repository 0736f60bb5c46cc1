"""From images to scores with a record of how they were measured."""
